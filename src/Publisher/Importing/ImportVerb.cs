using System.CommandLine;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Importing;

/// <summary>Hands in pictures from files or URLs.</summary>
internal static class ImportVerb
{
    private const string Help = """
        Hand pictures in. Files are uploaded, URLs are fetched by the workers; each picture becomes one import-image command.
        Ids are derived from project, place and content: running the same import again sends the same commands.

        A directory is laid out as scene-1/0.png: the folder is the scene's id, the file's name is the slot. Where no name is
        a number, the slots follow the names' order. Pictures directly in it belong to --scene, or to the project itself.

        Examples:
          import pictures --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
          import cover.png --project P --scene scene-1 --slot 2
          import https://example.org/a.jpg https://example.org/b.jpg --project P --scene scene-4 --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var sources = new Argument<string[]>("SOURCE")
        {
            Description = "Directories, files, http and https addresses.",
            Arity = ArgumentArity.OneOrMore,
        };
        var project = SharedOptions.RequiredId("--project", "The project; created when it is new.");
        var scene = new Option<string?>("--scene") { Description = "The scene's id." };
        var slot = SharedOptions.Number(
            "--slot",
            "Slot of the first file or URL; the next ones follow.",
            0,
            ImportPlan.SlotLimit
        );
        var publishers = SharedOptions.Number(
            "--publishers",
            "Pictures on their way at once.",
            1,
            ImportRunner.PublisherLimit
        );
        return verbs.Command(
            "import",
            Help,
            [sources, project, scene, slot, publishers],
            async (parsed, context, cancellation) =>
            {
                var skipped = new List<string>();
                var pictures = ImportPlan.Of(
                    parsed.GetValue(sources) ?? [],
                    parsed.GetValue(scene),
                    parsed.GetValue(slot),
                    skipped.Add
                );
                foreach (var file in skipped)
                    await context.Screen.NoteAsync($"skipped {file}: no picture by its name");
                return await RunAsync(
                    parsed.GetValue(project) ?? Guid.Empty,
                    pictures,
                    parsed.GetValue(publishers) ?? ImportRunner.PublisherDefault,
                    context,
                    cancellation
                );
            }
        );
    }

    private static async Task<int> RunAsync(
        Guid project,
        IReadOnlyList<Picture> pictures,
        int publishers,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var screen = context.Screen;
        var broker = context.Settings.Broker;
        using var store = pictures.Any(x => !x.IsUrl) ? new S3Store(context.Settings.Storage, context.Clock) : null;
        var progress = new ProgressLine(screen, context.Clock);
        var sent = 0;
        string State() => $"{sent}/{pictures.Count} pictures handed in";
        try
        {
            await new ImportRunner(broker, store, publishers, context.Clock).RunAsync(
                project,
                pictures,
                async (picture, command) =>
                {
                    sent++;
                    if (screen.Json)
                        await screen.ObjectAsync(
                            new
                            {
                                command.CommandId,
                                command.ImageId,
                                command.ProjectId,
                                command.SceneId,
                                command.Slot,
                                source = picture.Location,
                            }
                        );
                    await progress.ShowAsync(State());
                },
                cancellation
            );
        }
        finally
        {
            await progress.EndAsync(State());
        }

        if (!screen.Json)
            await screen.LineAsync($"project  {project}: {sent} import-image commands, confirmed by the broker");
        return Exit.Done;
    }
}
