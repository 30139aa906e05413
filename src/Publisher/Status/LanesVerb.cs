using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Status;

/// <summary>Shows who holds which lane.</summary>
internal static class LanesVerb
{
    private const string Help = """
        Show the lanes and who holds each, the workers, and what waits to be relayed. Exit status 1 where a lane has no holder.

        Examples:
          lanes
          lanes --json
        """;

    public static Command Build(VerbRunner verbs) =>
        verbs.Command(
            "lanes",
            Help,
            [],
            async (_, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new LaneReads(database);
                var lanes = await reads.LanesAsync(cancellation);
                var workers = await reads.WorkersAsync(cancellation);
                var outbox = await reads.OutboxAsync(cancellation);
                if (context.Screen.Json)
                    await context.Screen.ObjectAsync(
                        new
                        {
                            lanes,
                            workers,
                            outbox,
                        }
                    );
                else
                    await PrintAsync(lanes, workers, outbox, context.Screen);
                return lanes.Count > 0 && lanes.TrueForAll(x => x.Held) ? Exit.Done : Exit.Failed;
            }
        );

    private static async Task PrintAsync(List<LaneRow> lanes, List<WorkerRow> workers, OutboxRow outbox, Screen screen)
    {
        var table = new TextTable("lane", "queue", "holder", "epoch", "lease until");
        foreach (var lane in lanes)
            table.Add(
                lane.Lane,
                lane.Queue,
                lane.Held ? lane.Worker ?? lane.WorkerId?.ToString() : "nobody",
                lane.Epoch,
                lane.LeaseUntil
            );
        var people = new TextTable("worker", "lanes", "alive", "started", "lease until");
        foreach (var worker in workers)
            people.Add(
                worker.Name,
                lanes.Count(x => x.Held && x.WorkerId == worker.Id),
                worker.Alive ? "yes" : "no",
                worker.StartedAt,
                worker.LeaseUntil
            );
        foreach (var line in table.Lines().Append("").Concat(people.Lines()).Append(""))
            await screen.LineAsync(line);
        await screen.LineAsync(
            $"{lanes.Count} lanes, {lanes.Count(x => x.Held)} held; {workers.Count(x => x.Alive)} workers alive; {outbox.Waiting} messages wait in the outbox"
        );
    }
}
