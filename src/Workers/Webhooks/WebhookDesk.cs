using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Projects;

namespace Pipeline.Workers.Webhooks;

/// <summary>A command as its receipt names it.</summary>
/// <param name="Id">Chosen by the sender.</param>
/// <param name="ProjectId">Null where it belongs to none.</param>
/// <param name="Name">Its exchange.</param>
internal sealed record WebhookCommand(Guid Id, Guid? ProjectId, string Name)
{
    /// <summary>What is compared and kept: the command without its secret.</summary>
    public required byte[] Content { get; init; }
}

/// <summary>Ends a command with effect, receipt and event in one transaction; one that comes again changes nothing.</summary>
internal sealed class WebhookDesk(NpgsqlDataSource source, TimeProvider clock)
{
    /// <param name="command">What came.</param>
    /// <param name="rule">The rule that it breaks, if any.</param>
    /// <param name="decide">The effect, in the open transaction; it writes nothing unless it answers applied.</param>
    /// <param name="cancellation">The consumer's.</param>
    public async Task EndAsync(
        WebhookCommand command,
        string? rule,
        Func<NpgsqlConnection, NpgsqlTransaction, Task<Decision>> decide,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var projectId = command.ProjectId ?? Guid.Empty;
        var hash = SHA256.HashData(command.Content);
        var earlier = await ReceiptLedger.FindAsync(connection, transaction, command.Id, cancellation);
        var decision =
            earlier is not null ? Decision.Rejected(ReceiptLedger.ConflictReason)
            : rule is not null ? Decision.Rejected(rule)
            : await decide(connection, transaction);
        var receipt = new Receipt
        {
            CommandId = command.Id,
            ProjectId = projectId,
            Command = command.Name,
            RequestHash = hash,
            Outcome = decision.Outcome,
            Reason = decision.Reason,
            Replays = 0,
            Announcements = Announcement.Write(Announcements(command, decision)),
            At = clock.GetDatabaseNow(),
        };

        IReadOnlyList<Announcement> announcements;
        if (earlier is null)
        {
            // Two deliveries at once: the second one waits here for the first one's commit, and undoes itself.
            if (!await ReceiptLedger.WriteAsync(connection, transaction, receipt, isTakenBack: false, cancellation))
                throw new ReceiptRaceException(command.Id);
            announcements = Announcement.Read(receipt.Announcements);
        }
        else if (earlier.RequestHash.AsSpan().SequenceEqual(hash))
        {
            announcements = earlier.Announcements;
        }
        else
        {
            var body = Encoding.UTF8.GetString(command.Content);
            await ReceiptLedger.KeepConflictAsync(connection, transaction, receipt, body, cancellation);
            announcements = Announcement.Read(receipt.Announcements);
        }

        await Outbox.AppendAsync(
            connection,
            transaction,
            [.. announcements.Select(x => x.ToWire(projectId))],
            cancellation
        );
        await transaction.CommitAsync(cancellation);
    }

    private IReadOnlyList<Announcement> Announcements(WebhookCommand command, Decision decision) =>
        decision.Outcome == Outcomes.Rejected
            ?
            [
                Announcement.Of(
                    command.Id,
                    new CommandRejected(
                        command.Id,
                        command.ProjectId ?? Guid.Empty,
                        command.Name,
                        decision.Reason!,
                        clock.GetDatabaseNow()
                    )
                ),
            ]
            : [];
}

/// <summary>The same command was decided at this very moment elsewhere. A redelivery finds its receipt.</summary>
internal sealed class ReceiptRaceException(Guid commandId)
    : Exception($"Command {commandId} has just been decided by another delivery.");
