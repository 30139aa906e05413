using System.CommandLine;
using Pipeline.Contracts;
using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Asks for the pictures of a storyboard, or for those that are missing.</summary>
internal static class GenerateStoryboardVerb
{
    private const string Help = """
        Have pictures generated for a project's scenes, from the scenes' own prompts. Returns once the broker has confirmed
        the command; with --wait once every picture has its end, with status 0 only if all are saved.

        --missing takes the project's last such command and asks again for exactly the slots that show no picture and that
        nobody works on: one generate-image each, with the scene's prompt of today and the last request's model, size, seed
        and model's settings, unless options say otherwise (--option replaces all settings, and another --model has none of
        them). The pictures keep their ids, so none can be there twice.

        Examples:
          generate-storyboard 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --images 3 --wait 300
          generate-storyboard P --scenes scene-1,scene-4 --model gpt-image-1 --width 1024 --height 1024 --deadline +1h
          generate-storyboard P --missing --json
        """;

    private const int ImagesDefault = 3;

    public static Command Build(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "A project whose scenes are defined." };
        var scenes = new Option<string?>("--scenes")
        {
            Description = "Ids of scenes, separated by commas; all by default.",
            HelpName = "IDS",
        };
        var images = SharedOptions.Number(
            "--images",
            $"Pictures a scene, in the slots from 0; {ImagesDefault} by default.",
            1,
            Limits.ImagesPerScene
        );
        var missing = new Option<bool>("--missing") { Description = "Ask again for exactly what is missing." };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again (then with a deadline as a date); random by default."
        );
        var render = new RenderOptions();
        return verbs.Command(
            "generate-storyboard",
            Help,
            [project, scenes, images, missing, .. render.All, command, render.Wait],
            async (parsed, context, cancellation) =>
            {
                var now = context.Clock.GetUtcNow();
                var wish = render.Read(parsed, known: null, now);
                var id = parsed.GetValue(project);
                var wait = parsed.GetValue(render.Wait);
                IReadOnlyList<string>? ids = parsed
                    .GetValue(scenes)
                    ?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
                Usage.Require(GenerationRules.Storyboard(ids, parsed.GetValue(images)));
                if (id == Guid.Empty)
                    throw new UsageException("PROJECT must not be all zeros.");
                if (!parsed.GetValue(missing))
                    return await AllAsync(
                        new GenerateStoryboard(
                            parsed.GetValue(command) ?? Guid.NewGuid(),
                            id,
                            ids,
                            parsed.GetValue(images) ?? ImagesDefault,
                            wish.Model,
                            wish.Width,
                            wish.Height,
                            wish.Options,
                            wish.Deadline,
                            wish.Force
                        ),
                        wait,
                        context,
                        cancellation
                    );

                if (parsed.GetValue(command) is not null || parsed.GetValue(images) is not null)
                    throw new UsageException("--missing goes without --command and --images.");
                return await MissingAsync(
                    id,
                    ids,
                    known => render.Read(parsed, known, now),
                    wait,
                    context,
                    cancellation
                );
            }
        );
    }

    private static async Task<int> AllAsync(
        GenerateStoryboard generate,
        int? wait,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        await using var database = wait is null ? null : new StatusDatabase(context.Settings.StatusDatabase);
        await using (
            var sender = new CommandSender(context.Settings.Broker, "publisher generate-storyboard", context.Clock)
        )
            await sender.SendAsync(generate.ToWire(), cancellation);
        await SentReport.PrintAsync(context.Screen, "generate-storyboard", generate.CommandId, generate.ProjectId);
        return database is null || wait is not { } seconds
            ? Exit.Done
            : await new StoryboardWait(database, context.Screen, context.Clock).EndAsync(
                CommandKey.Of(generate),
                TimeSpan.FromSeconds(seconds),
                cancellation
            );
    }

    private static async Task<int> MissingAsync(
        Guid project,
        IReadOnlyList<string>? scenes,
        Func<RenderWish?, RenderWish> wish,
        int? wait,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        var requests =
            await MissingRequests.OfAsync(project, scenes, wish, database, cancellation)
            ?? throw new FailureException($"No storyboard was ever generated for project {project}.");
        foreach (var note in requests.Notes)
            await context.Screen.NoteAsync(note);
        if (requests.Commands.Count == 0)
        {
            await context.Screen.NoteAsync("nothing to ask for again");
            return Exit.Done;
        }

        await using (
            var sender = new CommandSender(context.Settings.Broker, "publisher generate-storyboard", context.Clock)
        )
        {
            foreach (var command in requests.Commands)
            {
                await sender.SendAsync(command.ToWire(), cancellation);
                await GenerateVerb.PrintAsync(command, context.Screen);
            }
        }

        if (wait is not { } seconds)
            return Exit.Done;
        CommandKey[] sent = [.. requests.Commands.Select(CommandKey.Of)];
        var ends = await new GenerationWait(database, context.Screen, context.Clock).EndsAsync(
            sent,
            TimeSpan.FromSeconds(seconds),
            cancellation
        );
        return await EndReport.PrintAsync(sent, ends, seconds, context.Screen);
    }
}
