using System.CommandLine;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>Tells the catalogue of an object that somebody else has put or deleted.</summary>
internal static class ObjectVerbs
{
    private const string RecordHelp = """
        Enter an object into the catalogue that was put into the store by somebody else. The workers ask the store first.

        Example:
          record-object 14000.jpg --wait 10
        """;

    private const string ForgetHelp = """
        Take an object out of the catalogue that was deleted from the store by somebody else. The workers ask the store first.

        Example:
          forget-object 14000.jpg --wait 10
        """;

    public static Command BuildRecord(VerbRunner verbs) =>
        Build(verbs, "record-object", RecordHelp, (id, key) => new RecordObject(id, key).ToWire());

    public static Command BuildForget(VerbRunner verbs) =>
        Build(verbs, "forget-object", ForgetHelp, (id, key) => new ForgetObject(id, key).ToWire());

    private static Command Build(VerbRunner verbs, string name, string help, Func<Guid, string, WireMessage> message)
    {
        var key = new Argument<string>("KEY") { Description = "The object's key, as it is in the store." };
        key.Validators.Add(result =>
        {
            if (CatalogMessages.Problem(result.Tokens is [var token] ? token.Value : null) is { } problem)
                result.AddError($"KEY {problem}.");
        });
        var (command, wait) = (SentCommand.CommandOption(), SentCommand.WaitOption());
        return verbs.Command(
            name,
            help,
            [key, command, wait],
            (parsed, context, cancellation) =>
                SentCommand.RunAsync(
                    message(parsed.GetValue(command) ?? Guid.NewGuid(), parsed.GetRequiredValue(key)),
                    parsed.GetValue(wait),
                    context,
                    cancellation
                )
        );
    }
}

/// <summary>Sends a command of no project and, where wanted, waits for its receipt.</summary>
internal static class SentCommand
{
    private const int WaitSecondsMax = 86_400;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    public static Option<Guid?> CommandOption() =>
        SharedOptions.Id("--command", "The command's id, to send the same command again; random by default.");

    public static Option<int?> WaitOption() =>
        SharedOptions.Number("--wait", "Wait so many seconds for this command's receipt.", 0, WaitSecondsMax);

    /// <returns>Failed where the receipt says rejected, failed or target-missing, or does not come in time.</returns>
    public static async Task<int> RunAsync(
        WireMessage message,
        int? waitSeconds,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        await SendAsync(message, context, cancellation);
        if (waitSeconds is not { } seconds)
            return Exit.Done;

        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        var receipt = await WaitAsync(new ReceiptReads(database), message, seconds, context, cancellation);
        return await PrintAsync(receipt, context.Screen);
    }

    public static async Task SendAsync(WireMessage message, VerbContext context, CancellationToken cancellation)
    {
        await using var sender = new CommandSender(
            context.Settings.Broker,
            $"publisher {message.Exchange}",
            context.Clock
        );
        await sender.SendAsync(message, cancellation);
        if (context.Screen.Json)
            await context.Screen.ObjectAsync(
                new
                {
                    command = message.Exchange,
                    commandId = message.MessageId,
                    confirmed = true,
                }
            );
        else
            await context.Screen.LineAsync(
                $"command  {message.MessageId}  {message.Exchange}, confirmed by the broker"
            );
    }

    /// <returns>The exit status that a receipt stands for.</returns>
    public static async Task<int> PrintAsync(ReceiptRow receipt, Screen screen)
    {
        if (screen.Json)
            await screen.ObjectAsync(receipt);
        else
        {
            foreach (var line in ReceiptText.Table([receipt]))
                await screen.LineAsync(line);
        }

        return receipt.Outcome is Contracts.Receipts.Outcomes.Applied or Contracts.Receipts.Outcomes.Unchanged
            ? Exit.Done
            : Exit.Failed;
    }

    /// <exception cref="FailureException">It does not come in time.</exception>
    private static async Task<ReceiptRow> WaitAsync(
        ReceiptReads reads,
        WireMessage message,
        int seconds,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var started = context.Clock.GetTimestamp();
        var commandId = message.MessageId;
        while (true)
        {
            if (await reads.FindAsync(message.Key, cancellation) is { } receipt)
                return receipt;
            if (context.Clock.GetElapsedTime(started) >= TimeSpan.FromSeconds(seconds))
                throw new FailureException($"There is no receipt within {seconds} s: see receipts {commandId}.");
            await Task.Delay(PollInterval, context.Clock, cancellation);
        }
    }
}
