namespace Pipeline.Workers.Tests.Lanes.Model;

/// <summary>
/// Runs the continuations of several workers on one thread, in an order that a seed decides. A paused worker's wait.
/// </summary>
internal sealed class ModelScheduler
{
    private readonly List<(ModelContext Worker, SendOrPostCallback Callback, object? State)> _posted = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;

    public ModelContext NewWorker() => new(this);

    /// <summary>True where a continuation of a running worker waits.</summary>
    public bool HasWork => _posted.Exists(x => !x.Worker.IsPaused);

    /// <summary>Runs one of them.</summary>
    public void RunOne(Random random)
    {
        var start = random.Next(_posted.Count);
        for (var i = 0; i < _posted.Count; i++)
        {
            var at = (start + i) % _posted.Count;
            var (worker, callback, state) = _posted[at];
            if (worker.IsPaused)
                continue;
            _posted.RemoveAt(at);
            worker.Run(() => callback(state));
            return;
        }
    }

    private void Post(ModelContext worker, SendOrPostCallback callback, object? state)
    {
        // Another thread would make the run depend on more than its seed.
        if (Environment.CurrentManagedThreadId != _thread)
            throw new InvalidOperationException("A continuation came from another thread.");
        _posted.Add((worker, callback, state));
    }

    /// <summary>One worker process.</summary>
    internal sealed class ModelContext(ModelScheduler scheduler) : SynchronizationContext
    {
        public bool IsPaused { get; set; }

        public override void Post(SendOrPostCallback d, object? state) => scheduler.Post(this, d, state);

        public void Run(Action action)
        {
            var before = Current;
            SetSynchronizationContext(this);
            try
            {
                action();
            }
            finally
            {
                SetSynchronizationContext(before);
            }
        }
    }
}
