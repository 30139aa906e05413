using System.Text;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>
/// The one transaction in which a command's effect, its receipt and its messages are committed. Whoever opened the
/// transaction commits it.
/// </summary>
/// <param name="connection">Open.</param>
/// <param name="transaction">The connection's.</param>
/// <param name="request">The delivery of the command.</param>
/// <param name="at">The time of the decision, no finer than the database keeps it.</param>
/// <param name="cancellation">Of the delivery.</param>
internal sealed class CommandWork(
    NpgsqlConnection connection,
    NpgsqlTransaction transaction,
    CommandRequest request,
    DateTimeOffset at,
    CancellationToken cancellation
)
{
    public NpgsqlConnection Connection => connection;

    public NpgsqlTransaction Transaction => transaction;

    public CommandRequest Request => request;

    public DateTimeOffset At => at;

    public CancellationToken Cancellation => cancellation;

    /// <summary>In the transaction of a saga.</summary>
    public static CommandWork In(
        PipelineDbContext db,
        CommandRequest request,
        DateTimeOffset at,
        CancellationToken cancellation
    ) => new(db.Connection(), db.Transaction(), request, at, cancellation);

    /// <summary>A statement in this transaction.</summary>
    /// <param name="sql">With <c>$1</c> and so on.</param>
    /// <param name="values">An <see cref="NpgsqlParameter"/> where the type must be said, such as for null.</param>
    public NpgsqlCommand Statement(string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, connection, transaction);
        foreach (var value in values)
            command.Parameters.Add(value as NpgsqlParameter ?? new NpgsqlParameter { Value = value });
        return command;
    }

    /// <summary>Queues messages that are sent once this transaction is committed.</summary>
    public Task SendAsync(params IReadOnlyList<WireMessage> messages) =>
        Outbox.AppendAsync(connection, transaction, messages, cancellation);

    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    /// <returns>The receipt that stands: commit, and do no more. Null: the command is to be carried out.</returns>
    public async Task<FoundReceipt?> RecallAsync()
    {
        var earlier = await ReceiptStore.FindAsync(connection, transaction, request.Key, cancellation);
        if (earlier is null)
            return null;

        var answer = earlier.Announcements;
        if (!request.IsOf(earlier))
        {
            var conflict = Decision.Rejected(ReceiptStore.ConflictReason);
            answer = conflict.AnnouncementsOf(request, at);
            // A body that could not be read may be no text at all.
            if (request.IsJson)
                await ReceiptStore.KeepConflictAsync(
                    connection,
                    transaction,
                    ReceiptOf(conflict, []),
                    Encoding.UTF8.GetString(request.Content),
                    cancellation
                );
        }
        else if (earlier.Outcome == Outcomes.Failed && request.Replays > earlier.Replays)
            return null;

        await AnnounceAsync(answer);
        return earlier;
    }

    /// <summary>Writes the receipt and queues what is announced.</summary>
    /// <param name="decision">How the command ends.</param>
    /// <param name="isTakenBack">
    /// True for the end of work that was taken in: it takes back a failure that another delivery of its command had
    /// while the work went on.
    /// </param>
    /// <returns>False where another delivery of the command was first: roll back.</returns>
    public async Task<bool> EndAsync(Decision decision, bool isTakenBack = false)
    {
        var announcements = decision.AnnouncementsOf(request, at);
        var receipt = ReceiptOf(decision, announcements);
        if (!await ReceiptStore.WriteAsync(connection, transaction, receipt, isTakenBack, cancellation))
            return false;
        await AnnounceAsync(announcements);
        return true;
    }

    // Commands that follow from this one must reach their queue; events may have no listener.
    private Task AnnounceAsync(IReadOnlyList<Announcement> announcements) =>
        SendAsync([.. announcements.Select(x => x.ToWire(request.ProjectId, mandatory: IsCommand(x.Exchange)))]);

    private static bool IsCommand(string exchange) =>
        MessageCatalog.TryFind(exchange, out var contract) && contract.IsCommand;

    private Receipt ReceiptOf(Decision decision, IReadOnlyList<Announcement> announcements) =>
        new()
        {
            CommandId = request.CommandId,
            Scope = request.Scope,
            FollowUpId = decision.FollowUpId,
            ProjectId = decision.ProjectId ?? request.ProjectId,
            Command = request.Command,
            RequestHash = request.RequestHash,
            Outcome = decision.Outcome,
            Reason = decision.Reason,
            Replays = request.Replays,
            Announcements = Announcement.Write(announcements),
            At = at,
            Place = decision.Place,
        };
}

/// <summary>
/// The same command was decided at this very moment by another delivery. Trying again finds its receipt.
/// </summary>
internal sealed class ReceiptRaceException(Guid commandId)
    : Exception($"Command {commandId} has just been decided by another delivery."),
        IContention;
