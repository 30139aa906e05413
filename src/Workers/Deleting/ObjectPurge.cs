using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Deleting;

/// <summary>Deletes a deletion's objects from the store, and sees that they are gone.</summary>
internal sealed class ObjectPurge(
    DeletionKeys keys,
    IImageStore store,
    DeletionOptions options,
    DeletionMetrics metrics
)
{
    // A message is answered well within RabbitMQ's consumer time-out of 30 minutes; the rest is another message.
    private const int BatchesAtOnce = 20;

    /// <summary>Deletes what the store lists, a batch at a time. What was deleted before is not listed any more.</summary>
    /// <returns>True where there is more than one message's share.</returns>
    /// <exception cref="ObjectsLeftException">The store refused some; the others are gone.</exception>
    /// <inheritdoc cref="IImageStore.DeleteAsync" path="/exception"/>
    public async Task<bool> DeleteAsync(DeletionScope scope, CancellationToken cancellation)
    {
        var refused = new List<FailedDeletion>();
        if (scope.Prefix is not { } prefix)
        {
            refused.AddRange(await DeleteBatchAsync(scope, [scope.ObjectKey!], cancellation));
            ObjectsLeftException.ThrowIfAny(refused);
            return false;
        }

        string? continuation = null;
        var batches = 0;
        do
        {
            var page = await store.ListAsync(prefix, continuation, cancellation);
            foreach (var batch in page.Objects.Select(x => x.Key).Chunk(options.BatchSize))
            {
                refused.AddRange(await DeleteBatchAsync(scope, batch, cancellation));
                batches++;
            }

            continuation = page.Continuation;
        } while (continuation is not null && batches < BatchesAtOnce);

        ObjectsLeftException.ThrowIfAny(refused);
        return continuation is not null;
    }

    /// <summary>Asks the store again.</summary>
    /// <exception cref="ObjectsLeftException">Some are still there.</exception>
    /// <inheritdoc cref="IImageStore.DeleteAsync" path="/exception"/>
    public async Task VerifyAsync(DeletionScope scope, CancellationToken cancellation)
    {
        string[] left =
            scope.Prefix is { } prefix
                ? [.. (await store.ListAsync(prefix, continuation: null, cancellation)).Objects.Select(x => x.Key)]
            : await store.HeadAsync(scope.ObjectKey!, cancellation) is { } there ? [there.Key]
            : [];
        if (left.Length == 0)
        {
            await keys.AllPurgedAsync(scope.Id, cancellation);
            return;
        }

        const string Reason = "It is still there after its deletion.";
        await keys.AddAsync(scope.Id, left, cancellation);
        await keys.RefusedAsync(scope.Id, left, [.. left.Select(_ => Reason)], cancellation);
        throw new ObjectsLeftException(left.Length, Reason);
    }

    private async Task<IReadOnlyList<FailedDeletion>> DeleteBatchAsync(
        DeletionScope scope,
        string[] batch,
        CancellationToken cancellation
    )
    {
        await keys.AddAsync(scope.Id, batch, cancellation);
        var refused = await store.DeleteManyAsync(batch, cancellation);
        string[] gone = [.. batch.Except(refused.Select(x => x.Key), StringComparer.Ordinal)];
        await keys.PurgedAsync(scope.Id, gone, cancellation);
        metrics.Purged(gone.Length);
        if (refused.Count > 0)
        {
            string[] left = [.. refused.Select(x => x.Key)];
            await keys.RefusedAsync(scope.Id, left, [.. refused.Select(x => x.Reason)], cancellation);
        }

        return refused;
    }
}

/// <summary>The store has objects that it should not have any more; each one's reason is kept.</summary>
internal sealed class ObjectsLeftException(int count, string reason)
    : Exception($"{count} {(count == 1 ? "object is" : "objects are")} left. {reason}")
{
    public static void ThrowIfAny(List<FailedDeletion> refused)
    {
        if (refused.Count > 0)
            throw new ObjectsLeftException(refused.Count, refused[0].Reason);
    }
}
