using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Projects;

/// <summary>Ends a command that needs no saga: with its receipt and its events, in one transaction.</summary>
internal sealed class CommandRefusal(NpgsqlDataSource source, TimeProvider clock)
{
    /// <summary>Rejects a command that breaks a rule; one that has its receipt is answered the same again.</summary>
    public Task RefuseAsync(
        Guid commandId,
        Guid projectId,
        string command,
        byte[] content,
        string reason,
        CancellationToken cancellation
    )
    {
        var told = new CommandRejected(commandId, projectId, command, reason, clock.GetUtcNow());
        var announcement = Announcement.Of(commandId, told);
        return EndAsync(
            commandId,
            projectId,
            command,
            content,
            Outcomes.Rejected,
            reason,
            [announcement],
            cancellation
        );
    }

    /// <summary>Rejects a command that could not be read, whose body the dead letter keeps.</summary>
    public Task RefuseAsync(UnreadableCommand unread, CancellationToken cancellation)
    {
        var (id, project, name, reason) = (unread.CommandId, unread.ProjectId, unread.Name, unread.Reason);
        var told = new CommandRejected(id, project, name, reason, clock.GetDatabaseNow());
        return EndAsync(
            id,
            project,
            name,
            unread.Body,
            Outcomes.Rejected,
            reason,
            [Announcement.Of(id, told)],
            cancellation,
            keepsConflict: false // It need not be JSON.
        );
    }

    /// <summary>Writes a receipt, what belongs to it, and queues what follows from it.</summary>
    /// <param name="commandId">The command.</param>
    /// <param name="projectId">Its project.</param>
    /// <param name="command">Its name.</param>
    /// <param name="content">Its body, to know it again.</param>
    /// <param name="outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="reason">For people; null where it went well.</param>
    /// <param name="announcements">Messages; where the command has its receipt already, those of that one go out.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <param name="keepsConflict">False where the body need not be JSON.</param>
    /// <param name="record">Rows that commit with the receipt; not called where the command has one already.</param>
    public async Task EndAsync(
        Guid commandId,
        Guid projectId,
        string command,
        byte[] content,
        string outcome,
        string? reason,
        IReadOnlyList<Announcement> announcements,
        CancellationToken cancellation,
        bool keepsConflict = true,
        Func<NpgsqlConnection, NpgsqlTransaction, Task>? record = null
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var receipt = new Receipt
        {
            CommandId = commandId,
            ProjectId = projectId,
            Command = command,
            RequestHash = SHA256.HashData(content),
            Outcome = outcome,
            Reason = reason,
            Replays = 0,
            Announcements = Announcement.Write(announcements),
            At = clock.GetDatabaseNow(),
        };
        if (await ReceiptLedger.WriteAsync(connection, transaction, receipt, isTakenBack: false, cancellation))
        {
            if (record is not null)
                await record(connection, transaction);
        }
        else
        {
            var earlier = await ReceiptLedger.FindAsync(connection, transaction, commandId, cancellation);
            if (earlier!.RequestHash.AsSpan().SequenceEqual(receipt.RequestHash))
                announcements = earlier.Announcements;
            else
            {
                var body = Encoding.UTF8.GetString(content);
                if (keepsConflict)
                    await ReceiptLedger.KeepConflictAsync(connection, transaction, receipt, body, cancellation);
                const string Reason = ReceiptLedger.ConflictReason;
                var told = new CommandRejected(commandId, projectId, command, Reason, receipt.At);
                announcements = [Announcement.Of(commandId, told)];
            }
        }

        // Requests of a storyboard are commands and must reach their queue; events may have no listener.
        await Outbox.AppendAsync(
            connection,
            transaction,
            [
                .. announcements.Select(x =>
                    x.ToWire(
                        projectId,
                        mandatory: x.Exchange == WireNames.ExchangeOf<Contracts.Generation.GenerateImage>()
                    )
                ),
            ],
            cancellation
        );
        await transaction.CommitAsync(cancellation);
    }
}
