using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>Deletes an object that is no picture's, after looking at bucket and rows once more.</summary>
internal sealed class ObjectDiscards(
    NpgsqlDataSource source,
    IImageStore store,
    KnownKeys known,
    ReconcilingMetrics metrics,
    TimeProvider clock
) : ICommandHandler<DiscardObject>
{
    // As every write of the project does.
    private const string LockProjectSql = "select from pipeline.projects where id = $1 for update";

    private const string PurgedSql = """
        insert into pipeline.purged_objects (key, image_id, purged_at) values ($1, $2, $3) on conflict do nothing
        """;

    /// <exception cref="StorageUnavailableException">Worth a retry.</exception>
    public async Task HandleAsync(
        CommandRunner runner,
        CommandRequest request,
        DiscardObject command,
        CancellationToken cancellation
    )
    {
        if (await runner.RecallAsync(request, cancellation))
            return;

        var (outcome, reason, retract) = await DecideAsync(command, cancellation);
        await EndAsync(command, request, outcome, reason, retract, cancellation);
    }

    private async Task<(string Outcome, string? Reason, KnownPicture? Retract)> DecideAsync(
        DiscardObject command,
        CancellationToken cancellation
    )
    {
        var key = command.ObjectKey;
        if (ObjectKeys.Problem(key) is { } problem)
            return (Outcomes.Rejected, $"objectKey: {problem}.", null);
        if (!key.StartsWith(ObjectKeys.ImagesPrefix, StringComparison.Ordinal))
            return (Outcomes.Rejected, $"objectKey: must begin with '{ObjectKeys.ImagesPrefix}'.", null);
        if (await store.HeadAsync(key, cancellation) is not { } stored)
            return (Outcomes.Unchanged, "The store has no such object.", null);

        var state = (await known.OfAsync([key], command.OlderThan, cancellation))[0];
        if (state.Picture is null)
            return await DiscardOrphanAsync(command, stored, cancellation);
        if (await StoreComparison.HashAsync(store, key, cancellation) == state.Picture.Sha256)
            return (Outcomes.Superseded, "A picture has the object, and its bytes are right.", null);

        await store.DeleteAsync(key, cancellation);
        return (Outcomes.Applied, null, state.Picture);
    }

    private async Task<(string Outcome, string? Reason, KnownPicture? Retract)> DiscardOrphanAsync(
        DiscardObject command,
        StoredObject stored,
        CancellationToken cancellation
    )
    {
        if (stored.LastModified >= command.OlderThan)
            return (Outcomes.Superseded, "The object was put anew.", null);
        if (
            ObjectKeys.TryParseImage(command.ObjectKey, out var parsed)
            && !await GiveUpKeyAsync(command, parsed, cancellation)
        )
            return (Outcomes.Superseded, "The object is a picture's now, or is being purged.", null);

        await store.DeleteAsync(command.ObjectKey, cancellation);
        return (Outcomes.Applied, null, null);
    }

    /// <summary>
    /// Sees to it that no import and no lane uses the key from now on: the delete comes after this, and may come late.
    /// </summary>
    /// <returns>False where somebody uses it already.</returns>
    private async Task<bool> GiveUpKeyAsync(DiscardObject command, ImageKey key, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using (var project = new NpgsqlCommand(LockProjectSql, connection, transaction))
        {
            project.Parameters.AddWithValue(key.ProjectId);
            await project.ExecuteNonQueryAsync(cancellation);
        }

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

    private async Task EndAsync(
        DiscardObject command,
        CommandRequest request,
        string outcome,
        string? reason,
        KnownPicture? retract,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var at = clock.GetDatabaseNow();
        if (outcome is Outcomes.Applied or Outcomes.Unchanged)
            await ObjectCatalog.RemoveAsync(connection, transaction, [command.ObjectKey], cancellation);
        if (retract is not null)
        {
            var id = request.Key.Derive(WireNames.ExchangeOf<RetractObject>());
            var hide = new RetractObject(id, retract.ProjectId, retract.ImageId, command.ObjectKey);
            await Outbox.AppendAsync(connection, transaction, [WireMessage.Command(hide)], cancellation);
        }

        var work = new CommandWork(connection, transaction, request, at, cancellation);
        if (!await work.EndAsync(new Decision(outcome, reason)))
            throw new ReceiptRaceException(request.CommandId);
        await transaction.CommitAsync(cancellation);
        metrics.Discarded(outcome);
    }
}
