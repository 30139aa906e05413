using System.CommandLine;
using Pipeline.Contracts;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Asks for one picture.</summary>
internal static class GenerateVerb
{
    private const string Help = """
        Have one picture generated and saved into a project. Requests for the same picture share one rendering. Returns once
        the broker has confirmed the command; with --wait once it has ended, with status 0 only if the picture is saved.

        Examples:
          generate --project P --scene scene-1 --slot 0 --prompt "a red kite over a harbour" --wait 60
          generate --project P --scene-index 3 --slot 1 --prompt "a whale" --model gpt-image-1 --width 1024 --height 1024
                   --seed 7 --option quality=high --deadline +10m --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var project = SharedOptions.RequiredId("--project", "The project; created when it is new.");
        var scene = new Option<string?>("--scene")
        {
            Description = "The scene's id. Without a scene: a picture of the project itself.",
        };
        var index = SharedOptions.Number(
            "--scene-index",
            "The scene's place, instead of its id.",
            1,
            Limits.SceneIndexLast
        );
        var slot = SharedOptions.Number("--slot", "Place within the scene.", 0, Limits.SlotLast);
        slot.Required = true;
        var prompt = new Option<string>("--prompt") { Description = "What the picture shows.", Required = true };
        var seed = new Option<long?>("--seed") { Description = "Another seed is another picture.", HelpName = "N" };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again (then with a deadline as a date); random by default."
        );
        var image = SharedOptions.Id("--image", "The picture's id; derived from the command's by default.");
        var render = new RenderOptions();
        return verbs.Command(
            "generate",
            Help,
            [project, scene, index, slot, prompt, seed, .. render.All, command, image, render.Wait],
            async (parsed, context, cancellation) =>
            {
                var wish = render.Read(parsed, known: null, context.Clock.GetUtcNow());
                var id = parsed.GetValue(command) ?? Guid.NewGuid();
                var generate = new GenerateImage(
                    id,
                    parsed.GetValue(project) ?? Guid.Empty,
                    parsed.GetValue(image) ?? GenerationMessages.ImageOf(parsed.GetValue(project) ?? Guid.Empty, id),
                    parsed.GetValue(scene),
                    parsed.GetValue(index),
                    parsed.GetValue(slot) ?? 0,
                    parsed.GetRequiredValue(prompt),
                    wish.Model,
                    wish.Width,
                    wish.Height,
                    parsed.GetValue(seed),
                    wish.Options,
                    wish.Deadline,
                    wish.Force
                );
                Usage.Require(
                    GenerationRules.Picture(generate.Prompt, generate.SceneId, generate.SceneIndex, generate.Slot)
                );
                return await RunAsync(generate, parsed.GetValue(render.Wait), context, cancellation);
            }
        );
    }

    private static async Task<int> RunAsync(
        GenerateImage generate,
        int? wait,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        // Opened first: whoever waits wants to hear of a wrong setting before anything is sent.
        await using var database = wait is null ? null : new StatusDatabase(context.Settings.StatusDatabase);
        await using (var sender = new CommandSender(context.Settings.Broker, "publisher generate", context.Clock))
            await sender.SendAsync(generate.ToWire(), cancellation);
        await PrintAsync(generate, context.Screen);
        if (database is null || wait is not { } seconds)
            return Exit.Done;

        var ends = await new GenerationWait(database, context.Screen, context.Clock).EndsAsync(
            [CommandKey.Of(generate)],
            TimeSpan.FromSeconds(seconds),
            cancellation
        );
        return await EndReport.PrintAsync([CommandKey.Of(generate)], ends, seconds, context.Screen);
    }

    public static async Task PrintAsync(GenerateImage generate, Screen screen)
    {
        if (screen.Json)
        {
            await screen.ObjectAsync(
                new
                {
                    command = "generate-image",
                    generate.CommandId,
                    generate.ProjectId,
                    generate.ImageId,
                    generate.SceneId,
                    generate.SceneIndex,
                    generate.Slot,
                    confirmed = true,
                }
            );
            return;
        }

        await SentReport.PrintAsync(screen, "generate-image", generate.CommandId, generate.ProjectId);
        await screen.LineAsync($"image    {generate.ImageId}");
    }
}
