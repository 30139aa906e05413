using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Carries out the two commands about one object: both ask the store, and the store's word counts.</summary>
internal sealed partial class ObjectCommands(
    ObjectCheck check,
    CommandAnswers answers,
    CatalogMetrics metrics,
    TimeProvider clock,
    ILogger<ObjectCommands> logger
)
{
    /// <param name="request">The command.</param>
    /// <param name="key">Its object.</param>
    /// <param name="isDeletion">Whether the sender believes that the object is gone.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <inheritdoc cref="ObjectCheck.RunAsync" path="/exception"/>
    public async Task RunAsync(CommandRequest request, string? key, bool isDeletion, CancellationToken cancellation)
    {
        if (await answers.RecallAsync(request, cancellation))
            return;
        if (ObjectKeys.Problem(key) is { } problem)
        {
            var rule = $"objectKey: {problem}.";
            await answers.RefuseAsync(request, rule, cancellation);
            return;
        }

        await check.RunAsync(
            key!,
            sequencer: null,
            isWanted: _ => true,
            async (connection, transaction, result) =>
            {
                var at = clock.GetDatabaseNow();
                var (outcome, reason) = Decide(result, isDeletion);
                if (
                    !await CommandReceipts.EndAsync(
                        connection,
                        transaction,
                        request,
                        outcome,
                        reason,
                        [Tell(request.Key, key!, result.Stored, at)],
                        at,
                        cancellation,
                        followUpId: result.HiddenBy
                    )
                )
                    return false;
                Ended(request.Command, request.CommandId, key!, outcome);
                metrics.Checked(request.Command, outcome);
                return true;
            },
            cancellation
        );
    }

    private static (string Outcome, string? Reason) Decide(CheckResult result, bool isDeletion) =>
        (isDeletion, result) switch
        {
            (false, { Stored: null }) => (Outcomes.TargetMissing, "objectKey: the store has no such object."),
            (true, { Stored: not null }) => (
                Outcomes.Superseded,
                "The store has the object, so its entry stays and was brought up to date."
            ),
            (_, { Changed: true }) => (Outcomes.Applied, null),
            _ => (Outcomes.Unchanged, null),
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
