using System.Threading.RateLimiting;
using Pipeline.Workers.Models;

namespace Pipeline.Workers.Rendering;

/// <summary>How many requests a provider gets from this process, at once and a minute.</summary>
/// <remarks>
/// The framework's token bucket is filled by a timer of its own, so that two requests around a tick follow each other
/// at once: the very thing that providers answer with 429. Here each has its moment, an interval after the last one's.
/// </remarks>
internal sealed class ProviderTurns : IDisposable
{
    private readonly ConcurrencyLimiter _atOnce;
    private readonly TimeSpan _interval;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _clock;
    private readonly Lock _lock = new();
    private readonly long _startedAt;
    private TimeSpan _nextAt; // Since the start.

    /// <param name="model">Its limits.</param>
    /// <param name="options">The patience, and how many can wait at most.</param>
    /// <param name="clock">Measures the patience and the intervals.</param>
    public ProviderTurns(ModelOptions model, RenderingOptions options, TimeProvider clock)
    {
        _patience = options.TurnPatience;
        _clock = clock;
        _startedAt = clock.GetTimestamp();
        _interval = model.RequestsPerMinute is { } rate ? TimeSpan.FromMinutes(1) / rate : TimeSpan.Zero;
        _atOnce = new ConcurrencyLimiter(
            new ConcurrencyLimiterOptions { PermitLimit = model.Concurrency, QueueLimit = options.ConcurrentRenders }
        );
    }

    /// <returns>To be disposed when the request is over; null where the turn did not come in time.</returns>
    public async Task<IDisposable?> EnterAsync(CancellationToken cancellation)
    {
        var enteredAt = _clock.GetTimestamp();
        if (await TakePlaceAsync(cancellation) is not { } place)
            return null;
        try
        {
            if (BookMoment(_patience - _clock.GetElapsedTime(enteredAt)) is { } wait)
            {
                await Task.Delay(wait, _clock, cancellation);
                return place;
            }
        }
        catch
        {
            place.Dispose();
            throw;
        }

        place.Dispose();
        return null;
    }

    public void Dispose() => _atOnce.Dispose();

    private async Task<IDisposable?> TakePlaceAsync(CancellationToken cancellation)
    {
        // A free one needs no patience.
        if (_atOnce.AttemptAcquire() is { IsAcquired: true } free)
            return free;

        using var patience = new CancellationTokenSource(_patience, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        try
        {
            var place = await _atOnce.AcquireAsync(cancellationToken: either.Token);
            return place.IsAcquired ? place : null;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <returns>How long to wait for it; null where that is more than the patience, and then nothing is booked.</returns>
    private TimeSpan? BookMoment(TimeSpan patience)
    {
        lock (_lock)
        {
            var now = _clock.GetElapsedTime(_startedAt);
            var moment = _nextAt > now ? _nextAt : now;
            if (moment > now && moment - now > patience)
                return null;
            _nextAt = moment + _interval;
            return moment - now;
        }
    }
}
