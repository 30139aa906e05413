using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;

namespace Pipeline.SystemTests.Fire;

/// <summary>A time in which commands were waiting in a lane and none was committed there.</summary>
/// <param name="Lane">The lane's number.</param>
/// <param name="From">The last commit, or, if nothing was waiting then, the moment when something was queued.</param>
/// <param name="To">The next commit, or the end of the run.</param>
internal sealed record Gap(int Lane, DateTime From, DateTime To)
{
    public TimeSpan Length => To - From;

    public bool Holds(DateTime moment) => From <= moment && moment <= To;
}

/// <summary>
/// When each command was committed, written down by a trigger as the last act of its transaction. What was rolled
/// back is not there. The clock is the database's, whose machine is this one.
/// </summary>
internal static class CommitTimes
{
    private const string KeepSql = """
        create table public.commits (project_id uuid, version bigint, at timestamptz);
        create function public.keep_commit() returns trigger language plpgsql as $$
        begin
            insert into public.commits (project_id, version, at) values (new.id, new.version, clock_timestamp());
            return null;
        end $$;
        create constraint trigger keep_commit after insert or update on pipeline.projects
            deferrable initially deferred for each row execute function public.keep_commit();
        """;

    // A transaction applies several commands of a project and raises its version once, by their number.
    private const string ReadSql = """
        select r.command_id, min(c.at) from pipeline.receipts r
        join public.commits c on c.project_id = r.project_id and c.version >= r.project_version
        where r.command = 'save-image' and r.outcome = 'applied' group by r.command_id
        """;

    public static async Task KeepCommitTimesAsync(this Stack stack)
    {
        await using var command = stack.Database.CreateCommand(KeepSql);
        await command.ExecuteNonQueryAsync();
    }

    public static async Task<Dictionary<Guid, DateTime>> CommitTimesAsync(this Stack stack) =>
        (await stack.RowsAsync(ReadSql, x => (Id: x.GetGuid(0), At: x.GetDateTime(1)))).ToDictionary(
            x => x.Id,
            x => x.At
        );

    /// <param name="lane">The lane's number.</param>
    /// <param name="commands">All commands of the lane that were queued.</param>
    /// <param name="queued">When the broker had confirmed each of them.</param>
    /// <param name="commits">When each was committed; what is missing still waits.</param>
    /// <param name="end">The end of the run.</param>
    public static IEnumerable<Gap> Gaps(
        int lane,
        IEnumerable<SaveImage> commands,
        IReadOnlyDictionary<Guid, DateTime> queued,
        IReadOnlyDictionary<Guid, DateTime> commits,
        DateTime end
    )
    {
        (DateTime Queued, DateTime Committed)[] lives =
        [
            .. commands
                .Select(x => (queued[x.CommandId], commits.GetValueOrDefault(x.CommandId, DateTime.MaxValue)))
                .OrderBy(x => x.Item2),
        ];
        // Of each place, the moment since when something that was not committed before it has been waiting.
        var waitingSince = new DateTime[lives.Length];
        for (var i = lives.Length - 1; i >= 0; i--)
            waitingSince[i] = i + 1 < lives.Length ? Earlier(lives[i].Queued, waitingSince[i + 1]) : lives[i].Queued;

        var last = DateTime.MinValue;
        for (var i = 0; i < lives.Length; i++)
        {
            var from = waitingSince[i] > last ? waitingSince[i] : last;
            last = Earlier(lives[i].Committed, end);
            if (last > from)
                yield return new Gap(lane, from, last);
        }
    }

    private static DateTime Earlier(DateTime a, DateTime b) => a < b ? a : b;
}
