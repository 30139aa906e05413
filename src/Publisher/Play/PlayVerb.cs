using System.CommandLine;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Play;

/// <summary>Plays a whole storyboard and tells whether every picture arrived.</summary>
internal static class PlayVerb
{
    private const string Help = """
        Define a storyboard's scenes, hand in its pictures from 16 concurrent publishers and wait until all of them are shown.
        Prints a table with one row a scene, the receipts by outcome, and as last line one JSON object. Exit status 0 only if
        no scene lacks a picture and none is there twice. All numbers are read from the database's status views.

        Example (pictures/scene-1/0.png ...; the folders name the storyboard's scenes):
          play samples/storyboard.json --pictures pictures --timeout 60
        """;

    private const int TimeoutDefault = 300;
    private const int TimeoutMax = 86_400;

    public static Command Build(VerbRunner verbs)
    {
        var file = new Argument<string>("FILE")
        {
            Description = "{title, imagesPerScene, scenes:[{id,index,prompt}]} as JSON.",
        };
        var pictures = new Option<string>("--pictures")
        {
            Description = "A directory laid out as scene-1/0.png.",
            Required = true,
            HelpName = "DIR",
        };
        var project = SharedOptions.Id("--project", "The project; a random one by default.");
        var timeout = SharedOptions.Number(
            "--timeout",
            $"Seconds until it gives up; {TimeoutDefault} by default.",
            1,
            TimeoutMax
        );
        return verbs.Command(
            "play",
            Help,
            [file, pictures, project, timeout],
            async (parsed, context, cancellation) =>
            {
                var storyboard = await SceneFile.ReadAsync(parsed.GetRequiredValue(file), cancellation);
                var plan = PlayPlan.Of(
                    parsed.GetValue(project) ?? storyboard.ProjectId ?? Guid.NewGuid(),
                    storyboard,
                    ImportPlan.Of([parsed.GetRequiredValue(pictures)], scene: null, slot: null, _ => { })
                );
                foreach (var scene in plan.Scenes.Where(x => x.Pictures < x.Wanted))
                    await context.Screen.NoteAsync(
                        $"scene {scene.Id}: {scene.Pictures} of {scene.Wanted} pictures are in the directory"
                    );
                return await RunAsync(
                    plan,
                    TimeSpan.FromSeconds(parsed.GetValue(timeout) ?? TimeoutDefault),
                    context,
                    cancellation
                );
            }
        );
    }

    private static async Task<int> RunAsync(
        PlayPlan plan,
        TimeSpan timeout,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        using var store = new S3Store(context.Settings.Storage);
        var link = context.Settings.LinkBase;
        var broker = context.Settings.Broker;
        await new ProjectReads(database).VersionAsync(plan.Project, cancellation); // Fails before anything is sent.

        var run = new PlayRun(plan, database, broker, store, context.Screen, context.Clock);
        var result = await run.RunAsync(timeout, cancellation);
        await PlayReport.PrintAsync(plan, result, link, context.Screen);
        if (result.Missing.Count > 0)
            await ExplainAsync(new LaneReads(database), context.Screen, cancellation);
        return result.IsComplete ? Exit.Done : Exit.Failed;
    }

    /// <summary>The commonest reason, so that nobody has to look for it.</summary>
    private static async Task ExplainAsync(LaneReads reads, Screen screen, CancellationToken cancellation)
    {
        var lanes = await reads.LanesAsync(cancellation);
        var idle = lanes.Count(x => !x.Held);
        if (lanes.Count == 0 || idle > 0)
            await screen.NoteAsync(
                $"{idle} of {lanes.Count} lanes have no holder. Are the workers running? See lanes."
            );
    }
}
