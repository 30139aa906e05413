using System.CommandLine;
using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>Has the catalogue rebuilt from a listing of the bucket, and shows how that stands.</summary>
internal static class RebuildVerbs
{
    private const string RebuildHelp = """
        Have the whole bucket listed and the catalogue brought to agree with it. Readers keep the old entries meanwhile. While a
        rebuild runs, a further request joins it.

        Examples:
          rebuild-catalog --watch
          rebuild-catalog --json
        """;

    private const string ListHelp = """
        Show the rebuilds of the catalogue, newest first: pages, keys, rate, estimated end, and why one failed.

        Example:
          rebuilds --limit 5 --json
        """;

    private const string CancelHelp = """
        Stop a rebuild, for everyone who asked for it. What it has brought up to date stays; nothing more is removed.

        Example:
          cancel-rebuild 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --wait 10
        """;

    private const int LimitDefault = 20;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    public static Command BuildRebuild(VerbRunner verbs)
    {
        var command = SentCommand.CommandOption();
        var watch = new Option<bool>("--watch")
        {
            Description = "Show the progress until the rebuild has ended, or Ctrl-C.",
        };
        return verbs.Command(
            "rebuild-catalog",
            RebuildHelp,
            [command, watch],
            async (parsed, context, cancellation) =>
            {
                var rebuild = new RebuildCatalog(parsed.GetValue(command) ?? Guid.NewGuid());
                await SentCommand.SendAsync(rebuild.ToWire(), context, cancellation);
                return parsed.GetValue(watch) ? await WatchAsync(rebuild.CommandId, context, cancellation) : Exit.Done;
            }
        );
    }

    public static Command BuildList(VerbRunner verbs)
    {
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "rebuilds",
            ListHelp,
            [limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var page = new Page(parsed.GetValue(limit) ?? LimitDefault);
                var rebuilds = await new CatalogReads(database).RebuildsAsync(page, cancellation);
                foreach (var rebuild in rebuilds)
                {
                    if (context.Screen.Json)
                        await context.Screen.ObjectAsync(rebuild);
                    else
                        await PrintAsync(rebuild, context.Screen);
                }

                if (rebuilds.Count == 0)
                    await context.Screen.NoteAsync("The catalogue was never rebuilt.");
                return Exit.Done;
            }
        );
    }

    public static Command BuildCancel(VerbRunner verbs)
    {
        var id = new Argument<Guid>("REBUILD")
        {
            Description = "A rebuild's id, or the id of a command that asked for it.",
        };
        var (command, wait) = (SentCommand.CommandOption(), SentCommand.WaitOption());
        return verbs.Command(
            "cancel-rebuild",
            CancelHelp,
            [id, command, wait],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var asked = parsed.GetValue(id);
                var rebuild =
                    await new CatalogReads(database).RebuildAsync(asked, cancellation)
                    ?? throw new FailureException(
                        $"There is no rebuild {asked}, and no command {asked} asked for one: it may still be queued."
                    );
                var cancel = new CancelRebuild(parsed.GetValue(command) ?? Guid.NewGuid(), rebuild.Id);
                return await SentCommand.RunAsync(cancel.ToWire(), parsed.GetValue(wait), context, cancellation);
            }
        );
    }

    private static async Task<int> WatchAsync(Guid commandId, VerbContext context, CancellationToken cancellation)
    {
        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        var (reads, receipts) = (new CatalogReads(database), new ReceiptReads(database));
        var progress = new ProgressLine(context.Screen, context.Clock);
        var text = "queued";
        try
        {
            while (true)
            {
                try
                {
                    if (await reads.RebuildAsync(commandId, cancellation) is { } rebuild)
                        text = rebuild.Progress;
                    if (
                        await receipts.FindAsync(CommandKey.Of(new RebuildCatalog(commandId)), cancellation) is
                        { } receipt
                    )
                        return await SentCommand.PrintAsync(receipt, context.Screen);
                }
                catch (NpgsqlException e) when (e.IsTransient)
                {
                    text = DatabaseFailures.Describe(e); // Away for a moment; the rebuild goes on without us.
                }

                await progress.ShowAsync(text);
                await Task.Delay(PollInterval, context.Clock, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return Exit.Done; // Ctrl-C is how one stops watching.
        }
        finally
        {
            await progress.EndAsync(text);
        }
    }

    private static async Task PrintAsync(RebuildRow rebuild, Screen screen)
    {
        var ended = rebuild.EndedAt is { } at ? $", ended {at:u}" : "";
        await screen.LineAsync($"{rebuild.Id}  {rebuild.Bucket}  begun {rebuild.StartedAt:u}{ended}");
        await screen.LineAsync($"  {rebuild.Progress}; {rebuild.Requests} requests");
        if (rebuild.FailureReason is { } reason)
            await screen.LineAsync($"  {reason}");
    }
}
