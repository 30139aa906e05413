using System.Text;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>What the database knew of a command before this delivery.</summary>
internal enum EarlierRun
{
    /// <summary>Nothing, or a failure that a person has replayed since: it is to be carried out.</summary>
    None,

    /// <summary>It is decided; the same answer has been queued again.</summary>
    Decided,

    /// <summary>It failed, and nobody has replayed it since; the same answer has been queued again.</summary>
    Failed,

    /// <summary>The id belongs to another command. That one stands; this one is kept beside it and refused.</summary>
    OtherContent,
}

/// <summary>Receipts of imports, with the objects and messages that commit with them.</summary>
internal sealed class ImportLedger(NpgsqlDataSource source, TimeProvider clock)
{
    private const string FindSql = """
        select request_hash, outcome, replays, announcements::text from pipeline.receipts where command_id = $1
        """;

    private const string KeepConflictSql = """
        insert into pipeline.receipt_conflicts (command_id, request_hash, project_id, command, body, at)
        values ($1, $2, $3, $4, $5::json, $6) on conflict do nothing
        """;

    // A failure that a person replayed is decided anew; every other receipt stands, and then no row is written.
    private const string ReceiptSql = """
        insert into pipeline.receipts as r
            (command_id, project_id, command, request_hash, outcome, reason, replays, announcements, at)
        values ($1, $2, $3, $4, $5, $6, $7, $8::json, $9)
        on conflict (command_id) do update
            set outcome = excluded.outcome, reason = excluded.reason, replays = excluded.replays,
                announcements = excluded.announcements, at = excluded.at
            where r.outcome = 'failed' and r.request_hash = excluded.request_hash and excluded.replays > r.replays
        """;

    private const string ObjectSql = """
        insert into pipeline.catalog_objects (key, size, etag, content_type, last_modified, first_seen)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (key) do update
            set size = excluded.size, etag = excluded.etag, content_type = excluded.content_type,
                last_modified = excluded.last_modified
        """;

    private const string ConflictReason = "commandId: was used before with another content; the first one stands.";

    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    public async Task<EarlierRun> RecallAsync(ImportRequest request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await FindAsync(connection, transaction, request.Command.CommandId, cancellation) is not { } earlier)
            return EarlierRun.None;

        IReadOnlyList<Announcement> answer = earlier.Announcements;
        var run = earlier.Outcome == Outcomes.Failed ? EarlierRun.Failed : EarlierRun.Decided;
        if (!earlier.RequestHash.AsSpan().SequenceEqual(request.RequestHash))
        {
            run = EarlierRun.OtherContent;
            var refusal = ImportDecision.Rejected(request, ConflictReason, Now());
            answer = [refusal.Announcement];
            await KeepConflictAsync(connection, transaction, refusal, cancellation);
        }
        else if (run == EarlierRun.Failed && request.Replays > earlier.Replays)
            return EarlierRun.None;

        await Outbox.AppendAsync(connection, transaction, Messages(request, answer), cancellation);
        await transaction.CommitAsync(cancellation);
        return run;
    }

    /// <summary>Commits the receipt with everything that belongs to it.</summary>
    /// <returns>False where another delivery of the command was first; then nothing is written.</returns>
    public async Task<bool> RecordAsync(ImportDecision decision, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (!await WriteReceiptAsync(connection, transaction, decision, cancellation))
            return false;

        if (decision.Stored is { } stored)
            await WriteObjectAsync(connection, transaction, stored, decision.At, cancellation);
        var messages = Messages(decision.Request, [decision.Announcement]);
        await Outbox.AppendAsync(connection, transaction, messages, cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>The time, in the microseconds that the database keeps, so that receipt and event agree.</summary>
    public DateTimeOffset Now() => new(clock.GetUtcNow().Ticks / 10 * 10, TimeSpan.Zero);

    private static async Task<Earlier?> FindAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid commandId,
        CancellationToken cancellation
    )
    {
        await using var command = Command(connection, transaction, FindSql, commandId);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new Earlier(
                row.GetFieldValue<byte[]>(0),
                row.GetString(1),
                row.GetInt32(2),
                Announcement.Read(row.GetString(3))
            )
            : null;
    }

    private static async Task KeepConflictAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        ImportDecision refusal,
        CancellationToken cancellation
    )
    {
        await using var command = Command(
            connection,
            transaction,
            KeepConflictSql,
            refusal.Request.Command.CommandId,
            refusal.Request.RequestHash,
            refusal.Request.Command.ProjectId,
            ImportRequest.CommandName,
            Encoding.UTF8.GetString(refusal.Request.Content),
            refusal.At
        );
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static async Task<bool> WriteReceiptAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        ImportDecision decision,
        CancellationToken cancellation
    )
    {
        await using var command = Command(
            connection,
            transaction,
            ReceiptSql,
            decision.Request.Command.CommandId,
            decision.Request.Command.ProjectId,
            ImportRequest.CommandName,
            decision.Request.RequestHash,
            decision.Outcome,
            (object?)decision.Reason ?? DBNull.Value,
            decision.Request.Replays,
            Announcement.Write([decision.Announcement]),
            decision.At
        );
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    private static async Task WriteObjectAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        StoredObject stored,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        await using var command = Command(
            connection,
            transaction,
            ObjectSql,
            stored.Key,
            stored.Size,
            stored.ETag,
            (object?)stored.ContentType ?? DBNull.Value,
            stored.LastModified,
            at
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

    // The save is a command and must reach a lane; events may have no listener.
    private static WireMessage[] Messages(ImportRequest request, IReadOnlyList<Announcement> announcements) =>
        [
            .. announcements.Select(x => new WireMessage(
                x.Exchange,
                WireNames.RoutingKeyOf(request.Command.ProjectId),
                x.MessageId,
                x.Body,
                Mandatory: x.Exchange == WireNames.ExchangeOf<SaveImage>()
            )),
        ];

    private sealed record Earlier(
        byte[] RequestHash,
        string Outcome,
        int Replays,
        IReadOnlyList<Announcement> Announcements
    );
}
