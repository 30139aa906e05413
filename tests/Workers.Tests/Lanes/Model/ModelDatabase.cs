namespace Pipeline.Workers.Tests.Lanes.Model;

/// <summary>
/// One project's rows: a lock that one transaction holds at a time, receipts, and the effects in the order of their
/// commits. A commit that was sent may happen although the client has given it up.
/// </summary>
internal sealed class ModelDatabase(LaneModel model)
{
    private readonly HashSet<int> _receipts = [];
    private readonly List<ModelTransaction> _open = [];
    private ModelTransaction? _holder;

    public IReadOnlyList<ModelTransaction> Open => _open;

    public bool HasReceipt(int message) => _receipts.Contains(message);

    public Task ApplyAsync(ModelWorker worker, int[] batch, CancellationToken given)
    {
        var transaction = new ModelTransaction(worker, batch);
        _open.Add(transaction);
        given.Register(() =>
        {
            transaction.IsGivenUp = true;
            transaction.Done.TrySetCanceled(given);
        });
        return transaction.Done.Task;
    }

    public bool CanAdvance(ModelTransaction x) =>
        x.IsCommitting || x.IsGivenUp || (!x.Worker.Context.IsPaused && (_holder is null || _holder == x));

    public void Advance(ModelTransaction x, Random random)
    {
        if (x.IsCommitting)
            Commit(x, isKnown: random.Next(8) > 0);
        else if (x.IsGivenUp || (_holder == x && random.Next(10) == 0))
            End(x, new InvalidOperationException("rolled back"));
        else if (_holder == x)
            x.IsCommitting = true;
        else
            _holder = x;
    }

    /// <summary>Ends the sessions of a paused worker, as whoever takes over its lease does.</summary>
    public void EndSessions(ModelWorker worker)
    {
        foreach (var transaction in _open.Where(x => x.Worker == worker && !x.IsCommitting).ToArray())
            End(transaction, new InvalidOperationException("session ended"));
    }

    private void Commit(ModelTransaction x, bool isKnown)
    {
        foreach (var message in x.Batch.Where(_receipts.Add))
            model.Applied(message);
        End(x, isKnown ? null : new InvalidOperationException("the outcome of the commit is unknown"));
    }

    private void End(ModelTransaction x, Exception? error)
    {
        _open.Remove(x);
        if (_holder == x)
            _holder = null;
        x.Worker.Context.Post(
            _ =>
            {
                if (error is null)
                    x.Done.TrySetResult();
                else
                    x.Done.TrySetException(error);
            },
            null
        );
    }
}

internal sealed class ModelTransaction(ModelWorker worker, int[] batch)
{
    public ModelWorker Worker => worker;

    public int[] Batch => batch;

    public TaskCompletionSource Done { get; } = new();

    /// <summary>The client no longer waits.</summary>
    public bool IsGivenUp { get; set; }

    /// <summary>The commit was sent, and happens whatever becomes of the client.</summary>
    public bool IsCommitting { get; set; }
}
