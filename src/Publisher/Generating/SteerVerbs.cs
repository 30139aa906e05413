using System.CommandLine;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Steers a generation by hand: begins it anew, or stops it.</summary>
internal static class SteerVerbs
{
    private const string RetryHelp = """
        Give an abandoned or cancelled generation its attempts anew, for everyone who asked for it. Where the picture is
        rendered, repeat the imports and saves that failed.

        Example:
          retry 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 10
        """;

    private const string CancelHelp = """
        Stop working on a generation, for everyone who asked for it. What is saved stays saved.

        Example:
          cancel 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 10
        """;

    public static Command BuildRetry(VerbRunner verbs) =>
        Build(verbs, "retry", RetryHelp, (command, generation) => new RetryGeneration(command, generation).ToWire());

    public static Command BuildCancel(VerbRunner verbs) =>
        Build(verbs, "cancel", CancelHelp, (command, generation) => new CancelGeneration(command, generation).ToWire());

    private static Command Build(VerbRunner verbs, string name, string help, Func<Guid, Guid, WireMessage> message)
    {
        var id = new Argument<Guid>("GENERATION")
        {
            Description = "A generation's id, or the id of a command that asked for it.",
        };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        var wait = SharedOptions.Number(
            "--wait",
            "Wait so many seconds for this command's receipt.",
            0,
            RenderOptions.WaitSecondsMax
        );
        return verbs.Command(
            name,
            help,
            [id, command, wait],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var status = await GenerationVerb.RequireAsync(
                    parsed.GetValue(id),
                    new GenerationReads(database),
                    cancellation
                );
                var sent = message(parsed.GetValue(command) ?? Guid.NewGuid(), status.Generation.Id);
                await using (
                    var sender = new CommandSender(context.Settings.Broker, $"publisher {name}", context.Clock)
                )
                    await sender.SendAsync(sent, cancellation);
                await PrintAsync(sent, status.Generation.Id, context.Screen);
                if (parsed.GetValue(wait) is not { } seconds)
                    return Exit.Done;

                var ends = await new GenerationWait(database, context.Screen, context.Clock).EndsAsync(
                    [sent.Key],
                    TimeSpan.FromSeconds(seconds),
                    cancellation
                );
                return await EndReport.PrintAsync([sent.Key], ends, seconds, context.Screen);
            }
        );
    }

    private static async Task PrintAsync(WireMessage sent, Guid generation, Screen screen)
    {
        if (screen.Json)
            await screen.ObjectAsync(
                new
                {
                    command = sent.Exchange,
                    commandId = sent.MessageId,
                    generationId = generation,
                    confirmed = true,
                }
            );
        else
        {
            await screen.LineAsync($"command     {sent.MessageId}  {sent.Exchange}, confirmed by the broker");
            await screen.LineAsync($"generation  {generation}");
        }
    }
}
