using MassTransit;
using Microsoft.EntityFrameworkCore;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>Receipts of commands whose messages end as dead letters.</summary>
/// <param name="runner">Writes the receipts.</param>
/// <param name="contents">Takes commands out of messages.</param>
/// <param name="limits">Of bodies, as everywhere.</param>
/// <param name="messaging">Exchanges of clients.</param>
/// <param name="clock">For receipts and waits.</param>
/// <param name="logger">One line for each receipt.</param>
internal sealed partial class CommandFailures(
    CommandRunner runner,
    CommandContents contents,
    BodyLimit limits,
    MessagingOptions messaging,
    TimeProvider clock,
    ILogger<CommandFailures> logger
)
{
    private const int ReasonLength = 1_000;

    // With the retries' 15 minutes before it well below RabbitMQ's consumer time-out of 30, which would close the
    // channel with all its messages.
    private static readonly TimeSpan OutageLimit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(2);

    /// <summary>The receipt of a command that could not be read, or that no consumer wanted.</summary>
    /// <param name="delivery">The message.</param>
    /// <param name="error">Why it could not be read; null where no consumer wanted it.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    public async Task RefuseAsync(Delivery delivery, Exception? error, CancellationToken cancellation)
    {
        const string Unwanted = "The message's type is not one that this queue takes.";
        delivery = delivery.Through(messaging);
        var unread = UnreadableCommand.Of(delivery, error, Unwanted);
        if (unread is null || !MessageCatalog.TryFind(unread.Name, out var contract) || !contract.IsCommand)
            return;
        await RecordAsync(
            unread.Name,
            unread.CommandId,
            () => runner.RefuseAsync(RequestOf(unread, delivery), unread.Reason, cancellation),
            cancellation
        );
        Refused(unread.Name, unread.CommandId, unread.Reason);
    }

    /// <summary>The receipt of a command that nobody could carry out.</summary>
    /// <param name="delivery">The command, or a message that carries it; nothing is recorded for any other.</param>
    /// <param name="reason">Why, for people.</param>
    /// <param name="cancellation">Ends the wait for the database.</param>
    /// <param name="givenUpAt">When the broker gave the message up; null where a consumer has seen it.</param>
    public async Task FailAsync(
        Delivery delivery,
        string reason,
        CancellationToken cancellation,
        DateTimeOffset? givenUpAt = null
    )
    {
        CommandRequest? command;
        try
        {
            command = CommandOf(delivery.Through(messaging));
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // It never came to its consumer: whatever a reader throws, the command could not be read.
            await RefuseAsync(delivery, e, cancellation);
            return;
        }

        if (command is null)
            return;
        var isNew = false;
        await RecordAsync(
            command.Command,
            command.CommandId,
            async () => isNew = await EndAsync(command, reason, givenUpAt, cancellation),
            cancellation
        );
        if (isNew)
            Failed(command.Command, command.CommandId, reason);
    }

    private static CommandRequest RequestOf(UnreadableCommand unread, Delivery delivery) =>
        new(unread.CommandId, unread.ProjectId, unread.Name, unread.Body)
        {
            IsJson = false,
            Scope = CommandKey.Of(unread.ProjectId, unread.CommandId, delivery.Sender).Scope,
        };

    /// <returns>Null where the message neither is a command nor carries one.</returns>
    /// <exception cref="Exception">The message cannot be read.</exception>
    private CommandRequest? CommandOf(Delivery delivery)
    {
        return MessageReader.Read(delivery, limits.Bytes) is { } message
            ? contents.RequestOf(message.ToMessage(), delivery)
            : null;
    }

    /// <returns>False where the slice has answered its command itself, or a delivery before this one has.</returns>
    private async Task<bool> EndAsync(
        CommandRequest command,
        string reason,
        DateTimeOffset? givenUpAt,
        CancellationToken cancellation
    )
    {
        var run = await runner.RunAsync(
            command,
            async work =>
            {
                await FailedSave.HoldAsync(work);
                var place = givenUpAt is { } at ? await GivenUpPlace.FindAsync(work, at) : (long?)null;
                return Decision.Failed(reason) with { Place = place };
            },
            cancellation
        );
        return run.Decision is not null;
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
    public static string Describe(Exception error)
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
