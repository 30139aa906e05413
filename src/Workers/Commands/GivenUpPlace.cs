using Npgsql;

namespace Pipeline.Workers.Commands;

/// <summary>Where a command stands in its project's order that the broker gave up before any worker had decided it.</summary>
internal static class GivenUpPlace
{
    // That of the last thing which the project had decided until then: what came behind it is newer. A replay has the
    // place of its first decision and the time of its last, and says nothing.
    private const string Sql = """
        update pipeline.receipts set place = greatest(
            (select r.place from pipeline.receipts r
             where r.project_id = $2 and r.at < $3 and r.command_id <> $1 and r.replays = 0
             order by r.at desc, r.place desc limit 1),
            (select max(i.place) from pipeline.images i where i.project_id = $2 and i.updated_at < $3),
            0)
        where command_id = $1 and scope = $4
        """;

    // The broker counts in whole seconds, and its clock and the workers' differ. Where it is unclear which came first,
    // what was decided counts as newer, so that a replay never overwrites it.
    private static readonly TimeSpan ClockDifference = TimeSpan.FromSeconds(5);

    /// <summary>Gives the place to the command's receipt, which this transaction has written.</summary>
    /// <param name="connection">The transaction's.</param>
    /// <param name="transaction">Commits it.</param>
    /// <param name="command">The command.</param>
    /// <param name="at">When the broker gave it up, by the broker's clock.</param>
    /// <param name="cancellation">The caller's.</param>
    public static async Task KeepAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandRequest command,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var place = new NpgsqlCommand(Sql, connection, transaction);
        place.Parameters.AddWithValue(command.CommandId);
        place.Parameters.AddWithValue(command.ProjectId);
        place.Parameters.AddWithValue(at - ClockDifference);
        place.Parameters.AddWithValue(command.Scope);
        await place.ExecuteNonQueryAsync(cancellation);
    }
}
