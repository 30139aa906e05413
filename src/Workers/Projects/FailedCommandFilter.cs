using System.Runtime.Serialization;
using MassTransit;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Projects;

/// <summary>
/// Stands before the dead letters of every queue that is no lane. A command whose message ends there gets its receipt
/// first: <c>rejected</c> where it could not be read, <c>failed</c> where its consumer could not carry it out. While the
/// database is away the message waits here, since nothing could be recorded.
/// </summary>
/// <param name="answers">Writes the receipts of commands that could not be read.</param>
/// <param name="source">For the receipts of commands that failed.</param>
/// <param name="carried">Messages that carry commands.</param>
/// <param name="limits">Of bodies, as everywhere.</param>
/// <param name="messaging">Exchanges of clients.</param>
/// <param name="clock">For receipts and waits.</param>
/// <param name="logger">One line for each receipt.</param>
internal sealed partial class FailedCommandFilter(
    CommandAnswers answers,
    NpgsqlDataSource source,
    IEnumerable<CarriedCommand> carried,
    BodyLimit limits,
    MessagingOptions messaging,
    TimeProvider clock,
    ILogger<FailedCommandFilter> logger
) : IFilter<ExceptionReceiveContext>, IFilter<ReceiveContext>
{
    private const int ReasonLength = 1_000;

    // With the retries' 15 minutes before it well below RabbitMQ's consumer time-out of 30, which would close the
    // channel with all its messages.
    private static readonly TimeSpan OutageLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(2);

    private readonly Dictionary<Type, CarriedCommand> _carried = carried.ToDictionary(x => x.Message);

    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        UnreadableCommand.KeepExchange(context);
        // The process stops, and that is no failure of the command: with this error the broker delivers it again.
        context.CancellationToken.ThrowIfCancellationRequested();
        if (context.Exception is SerializationException)
            await RefuseAsync(context, context.Exception);
        else
            await FailAsync(context, context.Exception);
        await next.Send(context);
    }

    /// <summary>No consumer wanted it: a known message, but not this queue's.</summary>
    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        await RefuseAsync(context, error: null);
        await next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("failed-command");

    private async Task RefuseAsync(ReceiveContext context, Exception? error)
    {
        var unread = UnreadableCommand.Of(
            Delivery.Of(context).Through(messaging),
            error,
            "The message's type is not one that this queue takes."
        );
        if (unread is null || !MessageCatalog.TryFind(unread.Name, out var contract) || !contract.IsCommand)
            return;
        await RecordAsync(
            unread.Name,
            unread.CommandId,
            () => answers.RefuseAsync(RequestOf(unread), unread.Reason, context.CancellationToken),
            context.CancellationToken
        );
        Refused(unread.Name, unread.CommandId, unread.Reason);
    }

    private static CommandRequest RequestOf(UnreadableCommand unread) =>
        new(unread.CommandId, unread.ProjectId, unread.Name, unread.Body) { IsJson = false };

    private async Task FailAsync(ReceiveContext context, Exception error)
    {
        CommandRequest? command;
        try
        {
            command = CommandOf(Delivery.Of(context).Through(messaging));
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // It never came to its consumer: whatever a reader throws, the command could not be read.
            await RefuseAsync(context, e);
            return;
        }

        if (command is null)
            return;
        var reason = Describe(error);
        var isNew = false;
        await RecordAsync(
            command.Command,
            command.CommandId,
            async () => isNew = await EndAsync(command, reason, context.CancellationToken),
            context.CancellationToken
        );
        if (isNew)
            Failed(command.Command, command.CommandId, reason);
    }

    /// <returns>Null where the message neither is a command nor carries one.</returns>
    /// <exception cref="Exception">The message cannot be read.</exception>
    private CommandRequest? CommandOf(Delivery delivery)
    {
        if (MessageReader.Read(delivery, limits.Bytes) is not { } message)
            return null;
        var content = message.ToMessage();
        var replays = DeliveryHeaders.Replays(delivery);
        if (_carried.TryGetValue(message.Contract.Type, out var carrier))
            return CommandRequest.Of(carrier.CommandOf(content), replays + carrier.ReplaysOf(content));
        return message.Contract.IsCommand ? CommandRequest.Of(content, replays) : null;
    }

    /// <returns>False where the slice has answered its command itself, or a delivery before this one has.</returns>
    private async Task<bool> EndAsync(CommandRequest command, string reason, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        var failed = new CommandFailed(command.CommandId, command.ProjectId, command.Command, reason, at);
        var replay = command.Replays == 0 ? "" : $"/{command.Replays}"; // Another failure than the one before.
        var isNew = await CommandReceipts.EndAsync(
            connection,
            transaction,
            command,
            Outcomes.Failed,
            reason,
            [Announcement.Of(command.CommandId, failed, replay)],
            at,
            cancellation
        );
        await transaction.CommitAsync(cancellation);
        return isNew;
    }

    private async Task RecordAsync(string name, Guid commandId, Func<Task> record, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                await record();
                return;
            }
            catch (Exception e)
                when ((Transience.IsOutage(e) || Transience.IsContention(e))
                    && clock.GetElapsedTime(started) < OutageLimit
                )
            {
                DatabaseAway(name, commandId, e.Message);
                await Task.Delay(OutagePause, clock, cancellation);
            }
        }
    }

    // MassTransit wraps what a saga's transition throws, and EF Core what a statement does: the cause tells more.
    private static string Describe(Exception error)
    {
        var cause = error;
        while (cause is MassTransitException or DbUpdateException && cause.InnerException is { } inner)
            cause = inner;
        var reason = $"{cause.GetType().Name}: {cause.Message}".Replace("\0", "\\0", StringComparison.Ordinal);
        return ShortText.Cut(reason, ReasonLength);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Command} {CommandId} is rejected unread: {Reason}")]
    private partial void Refused(string command, Guid commandId, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Command} {CommandId} failed for good: {Reason}")]
    private partial void Failed(string command, Guid commandId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Command} {CommandId} waits for the database: {Error}")]
    private partial void DatabaseAway(string command, Guid commandId, string error);
}
