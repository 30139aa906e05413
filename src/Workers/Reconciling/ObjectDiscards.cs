using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Images;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>
/// Deletes an object that is no picture's, after looking at bucket and rows once more. One with wrong bytes is left to
/// the lane, which hides its picture and begins the purge in one transaction.
/// </summary>
internal sealed class ObjectDiscards(
    NpgsqlDataSource source,
    IImageStore store,
    KnownKeys known,
    ReconcilingMetrics metrics,
    TimeProvider clock
) : SlowCommandHandler<DiscardObject>
{
    private const string PurgedSql = """
        insert into pipeline.purged_objects (key, image_id, purged_at) values ($1, $2, $3) on conflict do nothing
        """;

    /// <exception cref="StorageUnavailableException">Worth a retry.</exception>
    protected override async Task<Func<CommandWork, Task<Decision>>> PrepareAsync(
        CommandRequest request,
        DiscardObject command,
        CancellationToken cancellation
    )
    {
        var discard = await DecideAsync(command, cancellation);
        return work => RecordAsync(work, command, discard);
    }

    protected override void Ended(CommandRequest request, Decision decision) => metrics.Discarded(decision.Outcome);

    private async Task<Discard> DecideAsync(DiscardObject command, CancellationToken cancellation)
    {
        var key = command.ObjectKey;
        if (ObjectKeys.Problem(key) is { } problem)
            return new Discard(Outcomes.Rejected, $"objectKey: {problem}.");
        if (!key.StartsWith(ObjectKeys.ImagesPrefix, StringComparison.Ordinal))
            return new Discard(Outcomes.Rejected, $"objectKey: must begin with '{ObjectKeys.ImagesPrefix}'.");

        var stored = await store.HeadAsync(key, cancellation);
        var state = (await known.OfAsync([key], command.OlderThan, cancellation))[0];
        if (stored is null)
        {
            var shownBy = state.Picture is { IsExpected: true } ? state.Picture : null;
            return new Discard(Outcomes.Unchanged, "The store has no such object.", shownBy) { IsGone = true };
        }

        if (state.Picture is null)
            return await DiscardOrphanAsync(command, stored, cancellation);
        if (await store.HashAsync(key, cancellation) == state.Picture.Sha256)
            return new Discard(Outcomes.Superseded, "A picture has the object, and its bytes are right.");

        // Never here: the picture would show a missing object, and a late delete could hit bytes that came since.
        return new Discard(Outcomes.Applied, Reason: null, state.Picture);
    }

    private async Task<Discard> DiscardOrphanAsync(
        DiscardObject command,
        StoredObject stored,
        CancellationToken cancellation
    )
    {
        if (stored.LastModified >= command.OlderThan)
            return new Discard(Outcomes.Superseded, "The object was put anew.");
        if (
            ObjectKeys.TryParseImage(command.ObjectKey, out var parsed)
            && !await GiveUpKeyAsync(command, parsed, cancellation)
        )
            return new Discard(Outcomes.Superseded, "The object is a picture's now, or is being purged.");

        await store.DeleteAsync(command.ObjectKey, cancellation);
        return new Discard(Outcomes.Applied, Reason: null) { IsGone = true };
    }

    /// <summary>
    /// Sees to it that no import and no lane uses the key from now on: the delete comes after this, and may come late.
    /// </summary>
    /// <returns>False where somebody uses it already.</returns>
    private async Task<bool> GiveUpKeyAsync(DiscardObject command, ImageKey key, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ProjectLock.TakeAsync(connection, transaction, key.ProjectId, cancellation);
        await ObjectCatalog.LockAsync(connection, key.ImageId, cancellation);
        var state = (await known.OfAsync([command.ObjectKey], command.OlderThan, cancellation))[0];
        if (state.Picture is not null || state.IsClaimed)
            return false;

        await using var purged = new NpgsqlCommand(PurgedSql, connection, transaction);
        purged.Parameters.AddWithValue(command.ObjectKey);
        purged.Parameters.AddWithValue(key.ImageId);
        purged.Parameters.AddWithValue(clock.GetDatabaseNow());
        await purged.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
        return true;
    }

    private static async Task<Decision> RecordAsync(CommandWork work, DiscardObject command, Discard discard)
    {
        if (discard.IsGone)
            await ObjectCatalog.RemoveAsync(work.Connection, work.Transaction, [command.ObjectKey], work.Cancellation);
        var decision = new Decision(discard.Outcome, discard.Reason);
        if (discard.Hide is not { } image)
            return decision;
        var hide = new RetractObject(
            work.Request.Key.Derive(WireNames.ExchangeOf<RetractObject>()),
            image.ProjectId,
            image.ImageId,
            command.ObjectKey,
            Purge: !discard.IsGone
        );
        await work.SendAsync(WireMessage.Command(hide));
        return decision with { FollowUpId = hide.CommandId };
    }

    /// <summary>What was decided.</summary>
    /// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="Reason">Null where the outcome says it all.</param>
    /// <param name="Hide">The picture that is kept out of sight; its object is purged unless it is gone.</param>
    private sealed record Discard(string Outcome, string? Reason, KnownPicture? Hide = null)
    {
        /// <summary>The store does not have the object any more.</summary>
        public bool IsGone { get; init; }
    }
}
