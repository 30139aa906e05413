using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Deleting;

/// <summary>Shows how far deletions are, and what is in their way.</summary>
internal static class DeletionsVerb
{
    private const string Help = """
        Show deletions, newest first: of pictures, of projects, and of bytes that were replaced. With an id: one of them, with
        its objects. Exit status 1 where an id is unknown.

        Examples:
          deletions --failed
          deletions --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --limit 20 --json
          deletions 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11
        """;

    private const int LimitDefault = 100;

    // S3's own limit; a key is of use only whole.
    private const int KeyLength = 1_024;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid?>("DELETION")
        {
            Description = "One deletion's id.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var failed = new Option<bool>("--failed") { Description = "Only what was given up." };
        var project = SharedOptions.Id("--project", "Only of this project.");
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "deletions",
            Help,
            [id, failed, project, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new DeletionReads(database);
                if (parsed.GetValue(id) is { } one)
                {
                    await PrintOneAsync(one, reads, context.Screen, cancellation);
                    return Exit.Done;
                }

                var deletions = await reads.ListAsync(
                    parsed.GetValue(project),
                    parsed.GetValue(failed),
                    new Page(parsed.GetValue(limit) ?? LimitDefault),
                    cancellation
                );
                await PrintAsync(deletions, context.Screen);
                return Exit.Done;
            }
        );
    }

    /// <exception cref="FailureException">There is none.</exception>
    public static async Task<DeletionRow> RequireAsync(Guid id, DeletionReads reads, CancellationToken cancellation) =>
        await reads.FindAsync(id, cancellation)
        ?? throw new FailureException($"There is no deletion {id}: deletions lists them.");

    private static async Task PrintOneAsync(Guid id, DeletionReads reads, Screen screen, CancellationToken cancellation)
    {
        var deletion = await RequireAsync(id, reads, cancellation);
        var keys = await reads.KeysAsync(id, cancellation);
        if (screen.Json)
        {
            await screen.ObjectAsync(new { deletion, keys });
            return;
        }

        await PrintAsync([deletion], screen);
        var table = new TextTable("object", "purged", "reason") { CellLimit = KeyLength };
        foreach (var key in keys)
            table.Add(key.Key, key.PurgedAt, key.Reason ?? "");
        foreach (var line in keys.Count == 0 ? [] : table.Lines())
            await screen.LineAsync(line);
    }

    private static async Task PrintAsync(List<DeletionRow> deletions, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var deletion in deletions)
                await screen.ObjectAsync(deletion);
            return;
        }

        var table = new TextTable(
            "asked",
            "state",
            "of",
            "picture or project",
            "left",
            "purged",
            "failures",
            "goes on",
            "deletion",
            "reason"
        );
        foreach (var x in deletions)
            table.Add(
                x.CreatedAt,
                x.State,
                x.Kind,
                x.ImageId ?? x.ProjectId,
                x.KeysLeft,
                x.KeysPurged,
                x.Failures,
                x.DueAt,
                x.Id,
                x.FailureReason ?? ""
            );
        foreach (var line in table.Lines())
            await screen.LineAsync(line);
    }
}
