using Pipeline.Workers.Messaging;

namespace Pipeline.Workers;

/// <summary>
/// How a worker's host starts, works and stops. It is told to stop by one token only, which the command line cancels
/// on SIGTERM and Ctrl-C: the host's own listener for signals would stop it in the middle of its start, and a bus that
/// is stopped while it opens its queues may wait for one of them for ever.
/// </summary>
internal sealed class WorkerLifetime : IHostLifetime
{
    // Opening twenty queues takes about a second, several on a busy machine. Longer means that a server is away.
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);

    // Long enough for the lanes to be handed over.
    private static readonly TimeSpan LostStopLimit = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Runs until <paramref name="stop"/> is cancelled, or until a queue has lost its consumer for good. A stop during
    /// the start takes effect when the start is complete; a start that a missing server holds up is given up. Disposes
    /// <paramref name="host"/>, unless its start was given up: then the process has to end.
    /// </summary>
    /// <exception cref="InvalidOperationException">A queue has lost its consumer.</exception>
    public static async Task RunAsync(IHost host, CancellationToken stop)
    {
        var lost = host.Services.GetRequiredService<ConsumerGuard>().Lost;
        var working = StartAndWorkAsync(host, stop);
        if (await Task.WhenAny(working, lost) == lost)
        {
            // What has lost its consumer may hold up the stop for ever, and the disposal of the host as well.
            try
            {
                await working.WaitAsync(LostStopLimit, CancellationToken.None);
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                await Console.Error.WriteLineAsync(await lost);
                Environment.Exit(Verbs.Failure);
            }
        }

        await working;
        if (lost.IsCompleted)
            throw new InvalidOperationException(await lost);
    }

    Task IHostLifetime.WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    Task IHostLifetime.StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static async Task StartAndWorkAsync(IHost host, CancellationToken stop)
    {
        var start = host.StartAsync(CancellationToken.None);
        if (await Task.WhenAny(start, StartLimitAfterAsync(stop)) != start)
        {
            await Console.Error.WriteLineAsync("Stopped before the start was complete: a server did not answer.");
            return;
        }

        try
        {
            await start;
            await host.WaitForShutdownAsync(stop);
        }
        finally
        {
            host.Dispose();
        }
    }

    private static async Task StartLimitAfterAsync(CancellationToken stop)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.Delay(StartLimit, CancellationToken.None);
    }
}
