using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Status;

/// <summary>Shows where a project stands.</summary>
internal static class StatusVerb
{
    private const string Help = """
        Show a project: its version, its scenes with their pictures, what is missing, what waits, how its commands ended.

        Examples:
          status 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
          status 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --watch
        """;

    private const int WaitingShown = 20;
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(1);

    public static Command Build(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "The project's id." };
        var watch = new Option<bool>("--watch")
        {
            Description = "Show it again each second, until every scene has a picture and none waits, or Ctrl-C.",
        };
        return verbs.Command(
            "status",
            Help,
            [project, watch],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                return parsed.GetValue(watch)
                    ? await WatchAsync(parsed.GetValue(project), database, context, cancellation)
                    : await ShowAsync(parsed.GetValue(project), database, context.Screen, cancellation);
            }
        );
    }

    private static async Task<int> ShowAsync(
        Guid id,
        StatusDatabase database,
        Screen screen,
        CancellationToken cancellation
    )
    {
        var project = await ProjectStatus.ReadAsync(id, database, WaitingShown, cancellation);
        if (project is null)
            throw new FailureException(
                $"There is no project {id}, or no command of it has been applied yet: see receipts {id}."
            );
        await PrintAsync(project, screen);
        return Exit.Done;
    }

    private static async Task<int> WatchAsync(
        Guid id,
        StatusDatabase database,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var screen = context.Screen;
        try
        {
            for (var first = true; ; first = false)
            {
                var project = await ProjectStatus.ReadAsync(id, database, WaitingShown, cancellation);
                // Home and clear. Not where the output is a file: there the states follow each other.
                if (screen.Repaints && !screen.Json && !Console.IsOutputRedirected)
                    await screen.Out.WriteAsync("\u001b[H\u001b[2J");
                if (project is not null)
                    await PrintAsync(project, screen);
                else if (first)
                    await screen.NoteAsync($"There is no project {id} yet.");
                if (project is { IsComplete: true })
                    return Exit.Done;
                await Task.Delay(WatchInterval, context.Clock, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Exit.Done; // Ctrl-C is how one stops watching.
        }
    }

    private static async Task PrintAsync(ProjectStatus project, Screen screen)
    {
        if (screen.Json)
        {
            await screen.ObjectAsync(project);
            return;
        }

        await screen.LineAsync($"project {project.Project}  version {project.Version}  updated {project.UpdatedAt:u}");
        if (project.Scenes.Count > 0)
        {
            var table = new TextTable("index", "scene", "images");
            foreach (var scene in project.Scenes)
                table.Add(scene.Index, scene.Id, scene.Images);
            foreach (var line in table.Lines())
                await screen.LineAsync(line);
        }

        await screen.LineAsync(
            $"scenes without a picture: {(project.Missing.Count == 0 ? "none" : string.Join(", ", project.Missing))}"
        );
        await screen.LineAsync($"pictures waiting, out of sight: {project.Waiting}");
        foreach (var image in project.WaitingImages)
            await screen.LineAsync(
                $"  {image.Id}  scene {image.SceneId ?? image.SceneIndex?.ToString() ?? "-"} slot {image.Slot} waits for its {image.WaitsFor}"
            );
        await screen.LineAsync($"receipts: {ReceiptText.Counts(project.Receipts)}");
    }
}
