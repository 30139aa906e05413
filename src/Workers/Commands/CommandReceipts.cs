using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MassTransit;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>One delivery of a command that is no lane command.</summary>
/// <param name="CommandId">Not all zeros.</param>
/// <param name="ProjectId">
/// The project under which its receipt is listed: the command's own, or that of what it is about. All zeros for none.
/// </param>
/// <param name="Command">Its exchange.</param>
/// <param name="Content">The command as the pipeline writes it, whatever it looked like on the wire.</param>
/// <param name="Replays">How often a person has replayed the message from the dead letters.</param>
internal sealed record CommandRequest(Guid CommandId, Guid ProjectId, string Command, byte[] Content, int Replays = 0)
{
    /// <inheritdoc cref="CommandKey.Scope"/>
    public Guid Scope { get; init; } = ProjectId;

    public CommandKey Key => new(Scope, CommandId);

    /// <summary>False for a body that could not be read: where it comes under a used id, it is not kept.</summary>
    public bool IsJson { get; init; } = true;

    /// <summary>What makes a second command under the same id the same one, or another.</summary>
    public byte[] RequestHash { get; } = SHA256.HashData(Content);

    /// <summary>A command as <see cref="MessageReader"/> has read it: with its id, and its project where it names one.</summary>
    /// <param name="command">A public command.</param>
    /// <param name="replays">How often a person has replayed it.</param>
    /// <param name="sender">The broker's user who has sent it; null where the message does not say.</param>
    public static CommandRequest Of(object command, int replays, string? sender)
    {
        var type = command.GetType();
        var content = WireJson.Write(command, type);
        using var body = JsonDocument.Parse(content);
        var project =
            body.RootElement.TryGetProperty("projectId", out var id) && id.ValueKind == JsonValueKind.String
                ? id.GetGuid()
                : Guid.Empty;
        var commandId = body.RootElement.GetProperty("commandId").GetGuid();
        return new CommandRequest(commandId, project, WireNames.ExchangeOf(type), content, replays)
        {
            Scope = CommandKey.Of(project, commandId, sender).Scope,
        };
    }

    /// <summary>The command that a consumer was given.</summary>
    public static CommandRequest Of<T>(ConsumeContext<T> context)
        where T : class => Of(context.Message, Delivery.Of(context.ReceiveContext));

    /// <summary>The command as it was read from the delivery.</summary>
    public static CommandRequest Of(object command, Delivery delivery) =>
        Of(command, DeliveryHeaders.Replays(delivery), delivery.Sender);
}

/// <summary>Receipt and events of a command that is no lane command, within a transaction that does its work too.</summary>
internal static class CommandReceipts
{
    /// <summary>Looks for the command's receipt and, where it stands, queues its answer again.</summary>
    /// <returns>True where it stands: commit, and do no more. False: the command is to be carried out.</returns>
    public static async Task<bool> RecallAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandRequest request,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        var earlier = await ReceiptStore.FindAsync(connection, transaction, request.Key, cancellation);
        if (earlier is null)
            return false;

        var answer = earlier.Announcements;
        if (!earlier.RequestHash.AsSpan().SequenceEqual(request.RequestHash))
        {
            const string Reason = ReceiptStore.ConflictReason;
            var refused = Receipt(request, Outcomes.Rejected, Reason, [], at);
            var body = Encoding.UTF8.GetString(request.Content);
            if (request.IsJson)
                await ReceiptStore.KeepConflictAsync(connection, transaction, refused, body, cancellation);
            answer = [Rejection(request, Reason, at)];
        }
        else if (earlier.Outcome == Outcomes.Failed && request.Replays > earlier.Replays)
            return false;

        await AnnounceAsync(connection, transaction, request, answer, cancellation);
        return true;
    }

    /// <summary>Writes the receipt and queues its events.</summary>
    /// <remarks>
    /// The end of work that was taken in takes back (<c>isTakenBack</c>) a failure that another delivery of its command
    /// had meanwhile.
    /// </remarks>
    /// <returns>False where another delivery of the command was first: roll back.</returns>
    public static async Task<bool> EndAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandRequest request,
        string outcome,
        string? reason,
        IReadOnlyList<Announcement> announcements,
        DateTimeOffset at,
        CancellationToken cancellation,
        bool isTakenBack = false,
        Guid? followUpId = null
    )
    {
        var receipt = Receipt(request, outcome, reason, announcements, at, followUpId);
        if (!await ReceiptStore.WriteAsync(connection, transaction, receipt, isTakenBack, cancellation))
            return false;
        await AnnounceAsync(connection, transaction, request, announcements, cancellation);
        return true;
    }

    /// <summary>The event of a refused command.</summary>
    public static Announcement Rejection(CommandRequest request, string reason, DateTimeOffset at) =>
        Announcement.Of(
            request.Key,
            new CommandRejected(request.CommandId, request.ProjectId, request.Command, reason, at)
        );

    private static Task AnnounceAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CommandRequest request,
        IReadOnlyList<Announcement> announcements,
        CancellationToken cancellation
    ) =>
        Outbox.AppendAsync(
            connection,
            transaction,
            // Commands that follow from this one must reach their queue; events may have no listener.
            [.. announcements.Select(x => x.ToWire(request.ProjectId, mandatory: IsCommand(x.Exchange)))],
            cancellation
        );

    private static bool IsCommand(string exchange) =>
        MessageCatalog.TryFind(exchange, out var contract) && contract.IsCommand;

    private static Receipt Receipt(
        CommandRequest request,
        string outcome,
        string? reason,
        IReadOnlyList<Announcement> announcements,
        DateTimeOffset at,
        Guid? followUpId = null
    ) =>
        new()
        {
            CommandId = request.CommandId,
            Scope = request.Scope,
            FollowUpId = followUpId,
            ProjectId = request.ProjectId,
            Command = request.Command,
            RequestHash = request.RequestHash,
            Outcome = outcome,
            Reason = reason,
            Replays = request.Replays,
            Announcements = Announcement.Write(announcements),
            At = at,
        };
}

/// <summary>
/// The same command was decided at this very moment by another delivery. Trying again finds its receipt.
/// </summary>
internal sealed class ReceiptRaceException(Guid commandId)
    : Exception($"Command {commandId} has just been decided by another delivery."),
        IContention;
