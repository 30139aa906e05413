using System.Collections.Concurrent;
using MassTransit;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Sees to it that every work queue has its consumer: starts an endpoint anew that has lost its own while the broker is
/// there, and ends the process where that does not help, so that a fresh one takes its place.
/// </summary>
/// <remarks>
/// A consumer is judged by the endpoint's channel and connection, and by the broker's count. Time is counted in looks:
/// a process that was paused must not take the pause for an absence. While the broker does not answer, nothing is
/// counted: a fresh process would fare no better. Lanes are watched by their balancer.
/// </remarks>
internal sealed partial class ConsumerGuard(
    IConsumerCounts counts,
    IHostApplicationLifetime host,
    TimeProvider clock,
    ILogger<ConsumerGuard> logger
) : BackgroundService
{
    public static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(2);

    /// <summary>Looks in a row without a consumer before the endpoint is started anew: MassTransit comes first.</summary>
    public const int RestartAfter = 3;

    /// <summary>Looks from there to the next attempt.</summary>
    public const int RestartEvery = 2;

    /// <summary>Looks in a row without a consumer before the process ends, within 15 s.</summary>
    public const int EndAfter = 7;

    /// <summary>The same while the host starts, which takes longer on a busy machine than any repair.</summary>
    public const int EndAfterAtStart = 60;

    // Over before the next attempt begins.
    private static readonly TimeSpan RestartLimit = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, IWatchedEndpoint> _endpoints = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _absences = new(StringComparer.Ordinal);

    private readonly TaskCompletionSource<string> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when a queue has lost its consumer for good: the host stops, and this says why.</summary>
    public Task<string> Lost => _lost.Task;

    /// <summary>Watches over a work queue's endpoint.</summary>
    public void Watch(string queue, IReceiveEndpointConfigurator endpoint)
    {
        var watch = (EndpointWatch)_endpoints.GetOrAdd(queue, x => new EndpointWatch(x));
        endpoint.ConnectReceiveEndpointObserver(watch);
        ((IRabbitMqReceiveEndpointConfigurator)endpoint).ConfigureChannel(x => x.UseFilter(watch));
    }

    public void Watch(IWatchedEndpoint endpoint) => _endpoints[endpoint.Queue] = endpoint;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // From the first moment of the host's stop consumers go, and shall.
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, host.ApplicationStopping);
        try
        {
            while (!_lost.Task.IsCompleted)
            {
                await Task.Delay(LookEvery, clock, stopping.Token);
                await LookAsync(stopping.Token);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The process stops in order.
        }
        finally
        {
            await counts.DisposeAsync();
        }
    }

    private async Task LookAsync(CancellationToken stopping)
    {
        var endpoints = _endpoints.Values.ToArray();
        var consumers = await counts.ReadAsync([.. endpoints.Select(x => x.Queue)], stopping);
        stopping.ThrowIfCancellationRequested();
        foreach (var endpoint in endpoints)
        {
            var why =
                consumers is null || !consumers.TryGetValue(endpoint.Queue, out var count) ? null
                : !endpoint.IsConsuming ? "its channel is closed"
                : count == 0 ? "the broker knows of no consumer"
                : null;
            var absences = _absences[endpoint.Queue] = why is null
                ? 0
                : _absences.GetValueOrDefault(endpoint.Queue) + 1;
            var isStarted = host.ApplicationStarted.IsCancellationRequested;
            if (absences >= (isStarted ? EndAfter : EndAfterAtStart))
            {
                End(endpoint.Queue, why!);
                return;
            }

            var isTime = absences >= RestartAfter && (absences - RestartAfter) % RestartEvery == 0;
            if (isStarted && isTime && !endpoint.IsConnecting)
                _ = RestartAsync(endpoint, why!, stopping);
        }
    }

    private async Task RestartAsync(IWatchedEndpoint endpoint, string why, CancellationToken stopping)
    {
        ConsumerRestarted(endpoint.Queue, why);
        using var limit = new CancellationTokenSource(RestartLimit, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        try
        {
            await endpoint.RestartAsync(either.Token);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The next looks see what came of it.
            RestartFailed(endpoint.Queue, e.Message);
        }
    }

    private void End(string queue, string why)
    {
        ConsumerLost(queue, why);
        _lost.TrySetResult(
            $"Queue '{queue}' has no consumer in this process, and gets none: {why}. Start the worker again."
        );
        host.StopApplication();
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Queue {Queue} has no consumer here, though the broker answers: {Why}. It is started anew"
    )]
    private partial void ConsumerRestarted(string queue, string why);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The consumer of queue {Queue} could not be started anew: {Error}"
    )]
    private partial void RestartFailed(string queue, string error);

    [LoggerMessage(
        Level = LogLevel.Critical,
        Message = "Queue {Queue} has no consumer here and gets none, though the broker answers: {Why}. This worker ends"
    )]
    private partial void ConsumerLost(string queue, string why);
}
