using Npgsql;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Projects;

/// <summary>A receipt as it is found.</summary>
internal sealed record FoundReceipt(
    byte[] RequestHash,
    string Outcome,
    int Replays,
    IReadOnlyList<Announcement> Announcements
);

/// <summary>Receipts of commands that are not the lanes'; those write theirs a batch at a time.</summary>
internal static class ReceiptLedger
{
    /// <summary>The answer to an id that came again with another content.</summary>
    public const string ConflictReason = "commandId: was used before with another content; the first one stands.";

    private const string FindSql = """
        select request_hash, outcome, replays, announcements::text from pipeline.receipts where command_id = $1
        """;

    private const string KeepConflictSql = """
        insert into pipeline.receipt_conflicts (command_id, request_hash, project_id, command, body, at)
        values ($1, $2, $3, $4, $5::json, $6) on conflict do nothing
        """;

    // A failure that a person replayed is decided anew, and so is an end that a person took back ($11); every other
    // receipt stands, and then no row is written.
    private const string WriteSql = """
        insert into pipeline.receipts as r
            (command_id, project_id, command, request_hash, outcome, reason, project_version, replays, announcements, at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10)
        on conflict (command_id) do update
            set project_id = excluded.project_id, outcome = excluded.outcome, reason = excluded.reason,
                project_version = excluded.project_version, replays = excluded.replays, announcements = excluded.announcements, at = excluded.at
            where r.request_hash = excluded.request_hash
                and (r.outcome = 'failed' and excluded.replays > r.replays
                    or $11 and r.outcome in ('failed', 'superseded'))
        """;

    public static async Task<FoundReceipt?> FindAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid commandId,
        CancellationToken cancellation
    )
    {
        await using var command = Command(connection, transaction, FindSql, commandId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new FoundReceipt(
                row.GetFieldValue<byte[]>(0),
                row.GetString(1),
                row.GetInt32(2),
                Announcement.Read(row.GetString(3))
            )
            : null;
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
        await using var command = Command(
            connection,
            transaction,
            WriteSql,
            receipt.CommandId,
            receipt.ProjectId,
            receipt.Command,
            receipt.RequestHash,
            receipt.Outcome,
            (object?)receipt.Reason ?? DBNull.Value,
            (object?)receipt.ProjectVersion ?? DBNull.Value,
            receipt.Replays,
            receipt.Announcements,
            receipt.At,
            isTakenBack
        );
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    /// <summary>Keeps the content that came second under a used id.</summary>
    public static async Task KeepConflictAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Receipt refused,
        string body,
        CancellationToken cancellation
    )
    {
        await using var command = Command(
            connection,
            transaction,
            KeepConflictSql,
            refused.CommandId,
            refused.RequestHash,
            refused.ProjectId,
            refused.Command,
            body,
            refused.At
        );
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static NpgsqlCommand Command(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string sql,
        params object[] values
    )
    {
        var command = new NpgsqlCommand(sql, connection, transaction);
        foreach (var value in values)
            command.Parameters.AddWithValue(value);
        return command;
    }
}
