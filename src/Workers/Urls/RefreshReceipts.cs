using System.Security.Cryptography;
using System.Text;
using MassTransit;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Urls;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Projects;

namespace Pipeline.Workers.Urls;

/// <summary>One delivery of a <see cref="RefreshUrls"/>.</summary>
/// <param name="Command">Under its id, which may have come as the message's id alone.</param>
/// <param name="Content">The command as the pipeline writes it.</param>
/// <param name="Replays">How often a person has replayed the message from the dead letters.</param>
internal sealed record RefreshRequest(RefreshUrls Command, byte[] Content, int Replays)
{
    public UrlDemand Demand => new(Command.CommandId, Command.Force);

    /// <exception cref="RefreshWithoutIdException">Neither the body nor the message has an id.</exception>
    public static RefreshRequest Of(ConsumeContext<RefreshUrls> context)
    {
        var command = context.Message;
        if (command.CommandId == Guid.Empty)
            command = command with { CommandId = context.MessageId ?? Guid.Empty };
        if (command.CommandId == Guid.Empty)
            throw new RefreshWithoutIdException();
        return new RefreshRequest(command, WireJson.Write(command), DeliveryHeaders.Replays(context.ReceiveContext));
    }
}

/// <summary>How a command ended.</summary>
/// <param name="Request">The delivery.</param>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">Null where the outcome says it all.</param>
/// <param name="ProjectId">The picture's project, where the command does not name it.</param>
internal sealed record RefreshEnd(RefreshRequest Request, string Outcome, string? Reason, Guid? ProjectId = null);

/// <summary>Receipts of <see cref="RefreshUrls"/>.</summary>
internal sealed class RefreshReceipts(NpgsqlDataSource source, TimeProvider clock)
{
    private static readonly string CommandName = WireNames.ExchangeOf<RefreshUrls>();

    /// <summary>Looks for the command's receipt and, where there is one, queues its answer again.</summary>
    /// <returns>False where it is to be carried out.</returns>
    public async Task<bool> RecallAsync(RefreshRequest request, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var id = request.Command.CommandId;
        if (await ReceiptLedger.FindAsync(connection, transaction, id, cancellation) is not { } earlier)
            return false;

        var answer = earlier.Announcements;
        if (!earlier.RequestHash.AsSpan().SequenceEqual(SHA256.HashData(request.Content)))
        {
            var refused = ReceiptOf(new RefreshEnd(request, Outcomes.Rejected, ReceiptLedger.ConflictReason));
            var body = Encoding.UTF8.GetString(request.Content);
            await ReceiptLedger.KeepConflictAsync(connection, transaction, refused, body, cancellation);
            answer = Announcement.Read(refused.Announcements);
        }
        else if (earlier.Outcome == Outcomes.Failed && request.Replays > earlier.Replays)
            return false;

        var project = request.Command.ProjectId ?? Guid.Empty;
        await Outbox.AppendAsync(connection, transaction, [.. answer.Select(x => x.ToWire(project))], cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>Commits the receipt of a command that changed nothing, or whose batches are committed.</summary>
    public async Task<RefreshEnd> RecordAsync(RefreshEnd end, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await RecordAsync(connection, transaction, end, cancellation))
            await transaction.CommitAsync(cancellation);
        return end;
    }

    /// <summary>Adds the receipt and its event to an open transaction.</summary>
    /// <returns>False where the command has its receipt already; then nothing is written.</returns>
    public async Task<bool> RecordAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RefreshEnd end,
        CancellationToken cancellation
    )
    {
        var receipt = ReceiptOf(end);
        if (!await ReceiptLedger.WriteAsync(connection, transaction, receipt, isTakenBack: false, cancellation))
            return false;
        var messages = Announcement.Read(receipt.Announcements).Select(x => x.ToWire(receipt.ProjectId));
        await Outbox.AppendAsync(connection, transaction, [.. messages], cancellation);
        return true;
    }

    private Receipt ReceiptOf(RefreshEnd end)
    {
        var (id, at) = (end.Request.Command.CommandId, clock.GetDatabaseNow());
        var project = end.ProjectId ?? end.Request.Command.ProjectId ?? Guid.Empty;
        var reason = end.Reason ?? "";
        Announcement? told = end.Outcome switch
        {
            Outcomes.Rejected => Announcement.Of(id, new CommandRejected(id, project, CommandName, reason, at)),
            Outcomes.Superseded => Announcement.Of(id, new CommandSuperseded(id, project, CommandName, reason, at)),
            Outcomes.Failed => Announcement.Of(
                id,
                new CommandFailed(id, project, CommandName, reason, at),
                end.Request.Replays == 0 ? "" : $"/{end.Request.Replays}"
            ),
            _ => null, // What changed is told by the pictures' own events.
        };
        return new Receipt
        {
            CommandId = id,
            ProjectId = project,
            Command = CommandName,
            RequestHash = SHA256.HashData(end.Request.Content),
            Outcome = end.Outcome,
            Reason = end.Reason,
            Replays = end.Request.Replays,
            Announcements = Announcement.Write(told is null ? [] : [told]),
            At = at,
        };
    }
}

/// <summary>Nobody could ask for its receipt, so the dead letter is all there is of it.</summary>
internal sealed class RefreshWithoutIdException()
    : Exception("commandId: must not be empty or all zeros, in the body or as message_id.");
