using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Has an object's entry brought up to date, because it was put.</summary>
internal sealed class RecordObjectHandler(ObjectCommands commands) : ICommandHandler<RecordObject>
{
    public Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        RecordObject command,
        CancellationToken cancellation
    ) => commands.RunAsync(runner, request, command.ObjectKey, isDeletion: false, cancellation);
}

/// <summary>The same, because it was deleted.</summary>
internal sealed class ForgetObjectHandler(ObjectCommands commands) : ICommandHandler<ForgetObject>
{
    public Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        ForgetObject command,
        CancellationToken cancellation
    ) => commands.RunAsync(runner, request, command.ObjectKey, isDeletion: true, cancellation);
}

/// <summary>
/// Carries out the two commands about one object: both ask the store, and the store's word counts. The receipt commits
/// with the entry, in the transaction of <see cref="ObjectCheck"/>.
/// </summary>
internal sealed partial class ObjectCommands(
    ObjectCheck check,
    CatalogMetrics metrics,
    TimeProvider clock,
    ILogger<ObjectCommands> logger
)
{
    /// <param name="runner">Answers a command that has its receipt.</param>
    /// <param name="request">The command.</param>
    /// <param name="key">Its object.</param>
    /// <param name="isDeletion">Whether the sender believes that the object is gone.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="ObjectCheck.RunAsync" path="/exception"/>
    public async Task RunAsync(
        CommandRunner runner,
        CommandRequest request,
        string? key,
        bool isDeletion,
        CancellationToken cancellation
    )
    {
        if (await runner.RecallAsync(request, cancellation))
            return;
        if (ObjectKeys.Problem(key) is { } problem)
        {
            await runner.RefuseAsync(request, $"objectKey: {problem}.", cancellation);
            return;
        }

        await check.RunAsync(
            key!,
            sequencer: null,
            isWanted: _ => true,
            async (connection, transaction, result) =>
            {
                var at = clock.GetDatabaseNow();
                var work = new CommandWork(connection, transaction, request, at, cancellation);
                var decision = Decide(result, isDeletion) with
                {
                    Announcements = [Tell(request.Key, key!, result.Stored, at)],
                    FollowUpId = result.HiddenBy,
                };
                // Another delivery was first; trying again finds its receipt.
                if (!await work.EndAsync(decision))
                    throw new ReceiptRaceException(request.CommandId);
                Ended(request.Command, request.CommandId, key!, decision.Outcome);
                metrics.Checked(request.Command, decision.Outcome);
                return true;
            },
            cancellation
        );
    }

    private static Decision Decide(CheckResult result, bool isDeletion) =>
        (isDeletion, result) switch
        {
            (false, { Stored: null }) => new Decision(
                Outcomes.TargetMissing,
                "objectKey: the store has no such object."
            ),
            (true, { Stored: not null }) => Decision.Superseded(
                "The store has the object, so its entry stays and was brought up to date."
            ),
            (_, { Changed: true }) => Decision.Applied(),
            _ => Decision.Unchanged(reason: null),
        };

    private static Announcement Tell(CommandKey command, string key, StoredObject? stored, DateTimeOffset at) =>
        stored is null
            ? Announcement.Of(command, new ObjectForgotten(command.CommandId, key, at))
            : Announcement.Of(
                command,
                new ObjectRecorded(
                    command.CommandId,
                    key,
                    stored.Size,
                    stored.ETag,
                    stored.ContentType,
                    stored.LastModified,
                    at
                )
            );

    [LoggerMessage(Level = LogLevel.Information, Message = "{Command} {CommandId} of '{Key}': {Outcome}")]
    private partial void Ended(string command, Guid commandId, string key, string outcome);
}
