using System.CommandLine;
using System.Security.Cryptography;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Webhooks;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Webhooks;

/// <summary>The verbs that change something: each sends one command and waits for its receipt.</summary>
internal static class WebhookCommandVerbs
{
    private const string AddHelp = """
        Deliver events to a URL from now on. Prints the secret with which the receiver verifies them: once, and never again.

        Examples:
          webhooks add https://shop.example.org/events
          webhooks add https://shop.example.org/events --event image-saved --event storyboard-completed --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
          webhooks add https://shop.example.org/events --subscription 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21   # a new secret
        """;

    private const string RemoveHelp = """
        Deliver nothing more. What is not delivered yet becomes dead.

        Example:
          webhooks remove 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21
        """;

    private const string ReplayHelp = """
        Deliver again, with all attempts anew and the same webhook-id: all dead ones, or those named.

        Examples:
          webhooks replay 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21
          webhooks replay 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21 --message 1c7e4a52-6b0d-5e3f-8a91-2d4c6e8f0a13
        """;

    private const string PingHelp = """
        Deliver a webhook.ping, to see whether the receiver answers and verifies; webhooks deliveries shows what it said.

        Example:
          webhooks ping 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21
        """;

    // Standard Webhooks 1.0.0 wants 24 to 64.
    private const int SecretBytes = 32;
    private const int WaitSecondsDefault = 30;
    private const int WaitSecondsMax = 3_600;
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(200);

    public static Command BuildAdd(VerbRunner verbs)
    {
        var url = new Argument<string>("URL") { Description = "Where to; http or https." };
        var events = new Option<string[]>("--event") { Description = "Only these, such as image-saved; repeatable." };
        var project = SharedOptions.Id("--project", "Only the events of this project.");
        var id = SharedOptions.Id("--subscription", "Replace this subscription; a new one by default.");
        // A command line is seen by other users of the machine, and kept in the shell's history.
        var secret = new Option<string?>("--secret-file")
        {
            Description = "A file with the secret, whsec_...; a random one by default.",
            HelpName = "FILE",
        };
        var wait = Wait();
        return verbs.Command(
            "add",
            AddHelp,
            [url, events, project, id, secret, wait],
            async (parsed, context, cancellation) =>
            {
                var command = new SubscribeWebhook(
                    Guid.NewGuid(),
                    parsed.GetValue(id) ?? Guid.NewGuid(),
                    parsed.GetValue(url) ?? "",
                    parsed.GetValue(events) is { Length: > 0 } named ? named : null,
                    parsed.GetValue(project),
                    parsed.GetValue(secret) is { } file
                        ? (await File.ReadAllTextAsync(file, cancellation)).Trim()
                        : NewSecret()
                );
                var seconds = Seconds(parsed.GetValue(wait));
                var unknown =
                    $"Should it hold later, nobody has its secret: then add it again with --subscription {command.SubscriptionId}, or remove it.";
                await EndAsync(command, command.CommandId, seconds, context, cancellation, unknown);
                if (context.Screen.Json)
                    await context.Screen.ObjectAsync(new { command.SubscriptionId, command.Secret });
                else
                {
                    await context.Screen.LineAsync($"subscription  {command.SubscriptionId}");
                    await context.Screen.LineAsync($"secret        {command.Secret}  (not shown again)");
                }

                return Exit.Done;
            }
        );
    }

    public static Command BuildRemove(VerbRunner verbs) =>
        Build(verbs, "remove", RemoveHelp, (command, id) => new UnsubscribeWebhook(command, id));

    public static Command BuildPing(VerbRunner verbs) =>
        Build(verbs, "ping", PingHelp, (command, id) => new PingWebhook(command, id));

    public static Command BuildReplay(VerbRunner verbs)
    {
        var messages = new Option<Guid[]>("--message")
        {
            Description = "Only this delivery, by its event's message id, also where it was delivered; repeatable.",
        };
        return Build(
            verbs,
            "replay",
            ReplayHelp,
            (command, id, parsed) =>
                new ReplayWebhook(command, id, parsed.GetValue(messages) is { Length: > 0 } named ? named : null),
            messages
        );
    }

    private static Command Build<T>(VerbRunner verbs, string name, string help, Func<Guid, Guid, T> make)
        where T : notnull => Build(verbs, name, help, (command, id, _) => make(command, id));

    private static Command Build<T>(
        VerbRunner verbs,
        string name,
        string help,
        Func<Guid, Guid, ParseResult, T> make,
        params Option[] options
    )
        where T : notnull
    {
        var id = new Argument<Guid>("SUBSCRIPTION") { Description = "The subscription's id." };
        var wait = Wait();
        return verbs.Command(
            name,
            help,
            [id, .. options, wait],
            async (parsed, context, cancellation) =>
            {
                var commandId = Guid.NewGuid();
                var command = make(commandId, parsed.GetValue(id), parsed);
                var receipt = await EndAsync(command, commandId, Seconds(parsed.GetValue(wait)), context, cancellation);
                if (context.Screen.Json)
                    await context.Screen.ObjectAsync(receipt);
                else
                    await context.Screen.LineAsync($"{receipt.Outcome}  {receipt.Reason}".TrimEnd());
                return Exit.Done;
            }
        );
    }

    private static Option<int?> Wait() =>
        SharedOptions.Number(
            "--wait",
            $"How many seconds to wait for the receipt; {WaitSecondsDefault} by default.",
            1,
            WaitSecondsMax
        );

    private static int Seconds(int? given) => given ?? WaitSecondsDefault;

    private static string NewSecret() => $"whsec_{Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes))}";

    /// <exception cref="FailureException">It was rejected, or has no receipt in time.</exception>
    private static async Task<ReceiptRow> EndAsync<T>(
        T command,
        Guid commandId,
        int seconds,
        VerbContext context,
        CancellationToken cancellation,
        string? unknown = null
    )
        where T : notnull
    {
        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        var name = WireNames.ExchangeOf<T>();
        await using (var sender = new CommandSender(context.Settings.Broker, $"publisher {name}", context.Clock))
            await sender.SendAsync(
                new WireMessage(name, RoutingKey: "", commandId, WireJson.Write(command), Mandatory: true),
                cancellation
            );

        var reads = new ReceiptReads(database);
        var key = CommandKey.Of(command);
        var started = context.Clock.GetTimestamp();
        while (context.Clock.GetElapsedTime(started) < TimeSpan.FromSeconds(seconds))
        {
            if (await reads.FindAsync(key, cancellation) is { } receipt)
                return receipt.Outcome is Outcomes.Applied or Outcomes.Unchanged
                    ? receipt
                    : throw new FailureException($"{receipt.Outcome}: {receipt.Reason}");
            await Task.Delay(PollInterval, context.Clock, cancellation);
        }

        throw new FailureException(
            $"The broker has command {commandId}, but it has no receipt after {seconds} s: do workers run? {unknown}".TrimEnd()
        );
    }
}
