namespace Pipeline.Workers.Commands;

/// <summary>Where a command stands in its project's order that the broker gave up before any worker had decided it.</summary>
internal static class GivenUpPlace
{
    // That of the last thing which the project had decided until then: what came behind it is newer. A replay has the
    // place of its first decision and the time of its last, and says nothing.
    private const string Sql = """
        select greatest(
            (select r.place from pipeline.receipts r
             where r.project_id = $1 and r.at < $2 and r.replays = 0 order by r.at desc, r.place desc limit 1),
            (select max(i.place) from pipeline.images i where i.project_id = $1 and i.updated_at < $2),
            0)
        """;

    // The broker counts in whole seconds, and its clock and the workers' differ. Where it is unclear which came first,
    // what was decided counts as newer, so that a replay never overwrites it.
    private static readonly TimeSpan ClockDifference = TimeSpan.FromSeconds(5);

    /// <summary>Looks for the place; a command that has one already keeps that.</summary>
    /// <param name="work">The command's.</param>
    /// <param name="at">When the broker gave it up, by the broker's clock.</param>
    public static async Task<long> FindAsync(CommandWork work, DateTimeOffset at)
    {
        await using var place = work.Statement(Sql, work.Request.ProjectId, at - ClockDifference);
        return (long)(await place.ExecuteScalarAsync(work.Cancellation))!;
    }
}
