using Pipeline.Wire;

namespace Pipeline.Bench;

/// <summary>What is measured: the pipeline or the floor, on one site and in one shape.</summary>
internal interface IContender : IAsyncDisposable
{
    string Name { get; }

    /// <summary>The processes that do the work; empty before <see cref="StartAsync"/>.</summary>
    IReadOnlyList<int> Pids { get; }

    /// <summary>Makes tables and queues on a site that is empty.</summary>
    Task PrepareAsync(CancellationToken cancellation);

    /// <summary>Starts the processes.</summary>
    Task StartAsync(CancellationToken cancellation);

    /// <summary>Returns when the queues are divided evenly among the processes.</summary>
    Task BalancedAsync(CancellationToken cancellation);

    /// <summary>Asks the processes to end and waits for it.</summary>
    Task StopAsync();

    /// <summary>Makes the projects and their scenes.</summary>
    Task DefineAsync(Workload work, ConfirmedPublisher publisher, CancellationToken cancellation);

    /// <summary>A command as this contender takes it.</summary>
    WireMessage Message(Workload work, int position);

    /// <summary>Locks the rows of all projects, so that nothing can be applied until it is disposed.</summary>
    Task<RowHold> HoldAsync(Workload work, CancellationToken cancellation);

    /// <summary>How many of the commands are committed; cheap enough to ask ten times a second.</summary>
    Task<long> CountAsync(Workload work, CancellationToken cancellation);

    /// <summary>The database's own time of the last commit that touched the projects.</summary>
    Task<DateTime> LastCommitAsync(Workload work, CancellationToken cancellation);
}
