using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Generating;

/// <summary>Shows how far the generation of a project's storyboard is.</summary>
internal static class StoryboardsVerb
{
    private const string Help = """
        Show a project's storyboard generations, newest first: pictures that are there, when all had their end, and the scenes
        that still lack one. generate-storyboard PROJECT --missing asks again for exactly those.

        Examples:
          storyboards 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
          storyboards 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --limit 1 --json
        """;

    private const int LimitDefault = 10;
    private const int LimitMax = 100;

    public static Command Build(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "The project's id." };
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, LimitMax);
        return verbs.Command(
            "storyboards",
            Help,
            [project, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var storyboards = await ReadAsync(
                    parsed.GetValue(project),
                    parsed.GetValue(limit) ?? LimitDefault,
                    database,
                    cancellation
                );
                if (storyboards.Count == 0)
                    throw new FailureException(
                        $"No storyboard was ever generated for project {parsed.GetValue(project)}; the command may still be queued."
                    );
                await StoryboardText.PrintAsync(storyboards, context.Screen);
                return Exit.Done;
            }
        );
    }

    /// <returns>Newest first, with their numbers as they are now.</returns>
    public static async Task<List<StoryboardRow>> ReadAsync(
        Guid project,
        int limit,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        var missing = new MissingPictures(database);
        var storyboards = new List<StoryboardRow>();
        foreach (
            var row in await new GenerationReads(database).StoryboardsAsync(project, new Page(limit), cancellation)
        )
            storyboards.Add(await missing.RefreshAsync(row, cancellation));
        return storyboards;
    }
}
