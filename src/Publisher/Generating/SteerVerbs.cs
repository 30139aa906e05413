using System.CommandLine;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Steers a project's requests for a generation by hand: opens them again, or withdraws them.</summary>
internal static class SteerVerbs
{
    private const string RetryHelp = """
        Open a project's failed and cancelled requests for a generation again. An image that is neither rendered nor being
        rendered is given all its attempts anew; a rendered one is saved. Requests of other projects stay as they are.

        Examples:
          retry 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 10
          retry 1c7e4a52-6b0d-5e3f-8a91-2d4c6e8f0a13 --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
        """;

    private const string CancelHelp = """
        Withdraw a project's open requests for a generation. Rendering stops when no request of any project is left; what
        is rendered is saved.

        Examples:
          cancel 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 10
          cancel 1c7e4a52-6b0d-5e3f-8a91-2d4c6e8f0a13 --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
        """;

    public static Command BuildRetry(VerbRunner verbs) =>
        Build(
            verbs,
            "retry",
            RetryHelp,
            (command, x) => new RetryGeneration(command, x.ProjectId, x.GenerationId, x.ImageId).ToWire()
        );

    public static Command BuildCancel(VerbRunner verbs) =>
        Build(
            verbs,
            "cancel",
            CancelHelp,
            (command, x) => new CancelGeneration(command, x.ProjectId, x.GenerationId, x.ImageId).ToWire()
        );

    private static Command Build(VerbRunner verbs, string name, string help, Func<Guid, Steering, WireMessage> message)
    {
        var id = new Argument<Guid>("ID")
        {
            Description = "The id of a request, which names its project and image; or a generation's, with --project.",
        };
        var project = SharedOptions.Id("--project", "Whose requests.");
        var image = SharedOptions.Id("--image", "Only the requests for this image; all of the project by default.");
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
            [id, project, image, command, wait],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var steering = await RequireAsync(
                    parsed.GetValue(id),
                    parsed.GetValue(project),
                    parsed.GetValue(image),
                    new GenerationReads(database),
                    cancellation
                );
                var sent = message(parsed.GetValue(command) ?? Guid.NewGuid(), steering);
                await using (
                    var sender = new CommandSender(context.Settings.Broker, $"publisher {name}", context.Clock)
                )
                    await sender.SendAsync(sent, cancellation);
                await PrintAsync(sent, steering, context.Screen);
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

    private static async Task<Steering> RequireAsync(
        Guid id,
        Guid? project,
        Guid? image,
        GenerationReads reads,
        CancellationToken cancellation
    )
    {
        var status = await GenerationVerb.RequireAsync(id, project, reads, cancellation);
        return Steering.Of(id, status, project, image)
            ?? throw new UsageException($"{id} is a generation's id: name the project with --project.");
    }

    private static async Task PrintAsync(WireMessage sent, Steering steering, Screen screen)
    {
        if (screen.Json)
            await screen.ObjectAsync(
                new
                {
                    command = sent.Exchange,
                    commandId = sent.MessageId,
                    generationId = steering.GenerationId,
                    projectId = steering.ProjectId,
                    imageId = steering.ImageId,
                    confirmed = true,
                }
            );
        else
        {
            await screen.LineAsync($"command     {sent.MessageId}  {sent.Exchange}, confirmed by the broker");
            await screen.LineAsync($"generation  {steering.GenerationId}");
            await screen.LineAsync($"project     {steering.ProjectId}");
            if (steering.ImageId is { } image)
                await screen.LineAsync($"image       {image}");
        }
    }
}
