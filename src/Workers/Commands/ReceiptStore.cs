using Npgsql;
using NpgsqlTypes;
using Pipeline.Wire;

namespace Pipeline.Workers.Commands;

/// <summary>A receipt as it is found.</summary>
internal sealed record FoundReceipt(
    CommandKey Key,
    byte[] RequestHash,
    string Outcome,
    string? Reason,
    long? ProjectVersion,
    int Replays,
    IReadOnlyList<Announcement> Announcements,
    DateTimeOffset At,
    long Place
);

/// <summary>
/// The only statements that read and write <c>pipeline.receipts</c>: for the lanes, which write a batch at a time, and
/// for every other command alike.
/// </summary>
internal static class ReceiptStore
{
    /// <summary>The answer to an id that came again with another content.</summary>
    public const string ConflictReason = "commandId: was used before with another content; the first one stands.";

    private const string FindSql = """
        select r.scope, r.command_id, r.request_hash, r.outcome, r.reason, r.project_version, r.replays,
               r.announcements::text, r.at, r.place
        from unnest($1, $2) as k (scope, command_id)
        join pipeline.receipts r on r.command_id = k.command_id and r.scope = k.scope
        """;

    private const string KeepConflictSql = """
        insert into pipeline.receipt_conflicts (command_id, scope, request_hash, project_id, command, body, at)
        values ($1, $2, $3, $4, $5, $6::json, $7) on conflict do nothing
        """;

    // A failure that a person replayed is decided anew, at the place that it has, and so is an end that a person took
    // back ($11). Every other receipt stands, and then no row is written.
    private const string WriteSql = """
        insert into pipeline.receipts as r
            (command_id, project_id, command, request_hash, outcome, reason, project_version, replays, announcements, at,
             place, scope, follow_up_id)
        select c, p, n, h, o, e, v, y, a::json, t, coalesce(l, nextval('pipeline.places')), s, f
        from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13, $14) with ordinality
            as x (c, p, n, h, o, e, v, y, a, t, l, s, f, k)
        order by k
        on conflict (command_id, scope) do update
            set project_id = excluded.project_id, outcome = excluded.outcome, reason = excluded.reason,
                project_version = excluded.project_version, replays = excluded.replays,
                announcements = excluded.announcements, at = excluded.at, follow_up_id = excluded.follow_up_id
            where r.request_hash = excluded.request_hash
                and (r.outcome = 'failed' and excluded.replays > r.replays
                    or $11 and r.outcome in ('failed', 'superseded'))
        """;

    /// <summary>A statement that finds receipts; <see cref="Read"/> reads its rows.</summary>
    /// <param name="keys">Each command once.</param>
    public static (string Sql, object[] Parameters) Find(IReadOnlyCollection<CommandKey> keys) =>
        (FindSql, [keys.Select(x => x.Scope).ToArray(), keys.Select(x => x.CommandId).ToArray()]);

    /// <summary>A statement that writes receipts; it affects as many rows as are written.</summary>
    /// <param name="receipts">In the order of their decisions; each command once.</param>
    /// <param name="isTakenBack">True where a person has taken the commands' earlier ends back.</param>
    public static (string Sql, object[] Parameters) Write(IReadOnlyList<Receipt> receipts, bool isTakenBack = false) =>
        (
            WriteSql,
            [
                receipts.Select(x => x.CommandId).ToArray(),
                receipts.Select(x => x.ProjectId).ToArray(),
                receipts.Select(x => x.Command).ToArray(),
                receipts.Select(x => x.RequestHash).ToArray(),
                receipts.Select(x => x.Outcome).ToArray(),
                // Without its type an array of nothing but nulls is one of unknown.
                new NpgsqlParameter
                {
                    Value = receipts.Select(x => x.Reason).ToArray(),
                    NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
                },
                receipts.Select(x => x.ProjectVersion).ToArray(),
                receipts.Select(x => x.Replays).ToArray(),
                receipts.Select(x => x.Announcements).ToArray(),
                receipts.Select(x => x.At).ToArray(),
                isTakenBack,
                receipts.Select(x => x.Place).ToArray(),
                receipts.Select(x => x.Scope).ToArray(),
                receipts.Select(x => x.FollowUpId).ToArray(),
            ]
        );

    /// <summary>A statement that keeps the content that came second under a used id.</summary>
    public static (string Sql, object[] Parameters) KeepConflict(Receipt refused, string body) =>
        (
            KeepConflictSql,
            [
                refused.CommandId,
                refused.Scope,
                refused.RequestHash,
                refused.ProjectId,
                refused.Command,
                body,
                refused.At,
            ]
        );

    public static FoundReceipt Read(NpgsqlDataReader row) =>
        new(
            new CommandKey(row.GetGuid(0), row.GetGuid(1)),
            row.GetFieldValue<byte[]>(2),
            row.GetString(3),
            row.IsDBNull(4) ? null : row.GetString(4),
            row.IsDBNull(5) ? null : row.GetInt64(5),
            row.GetInt32(6),
            Announcement.Read(row.GetString(7)),
            row.GetFieldValue<DateTimeOffset>(8),
            row.GetInt64(9)
        );

    public static async Task<FoundReceipt?> FindAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandKey key,
        CancellationToken cancellation
    )
    {
        await using var command = Command(connection, transaction, Find([key]));
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation) ? Read(row) : null;
    }

    /// <param name="connection">An open connection.</param>
    /// <param name="transaction">Its transaction.</param>
    /// <param name="receipt">What was decided.</param>
    /// <param name="isTakenBack">True where a person has taken an earlier end back.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>False where the command has its receipt already; then nothing is written.</returns>
    public static async Task<bool> WriteAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Receipt receipt,
        bool isTakenBack,
        CancellationToken cancellation
    )
    {
        await using var command = Command(connection, transaction, Write([receipt], isTakenBack));
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    /// <inheritdoc cref="KeepConflict"/>
    public static async Task KeepConflictAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Receipt refused,
        string body,
        CancellationToken cancellation
    )
    {
        await using var command = Command(connection, transaction, KeepConflict(refused, body));
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static NpgsqlCommand Command(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        (string Sql, object[] Parameters) statement
    )
    {
        var command = new NpgsqlCommand(statement.Sql, connection, transaction);
        foreach (var value in statement.Parameters)
            command.Parameters.Add(value as NpgsqlParameter ?? new NpgsqlParameter { Value = value });
        return command;
    }
}
