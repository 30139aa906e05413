using System.Threading.RateLimiting;
using Pipeline.Workers.Models;

namespace Pipeline.Workers.Rendering;

/// <summary>How many requests a provider gets from this process, at once and a minute.</summary>
internal sealed class ProviderTurns : IDisposable
{
    private readonly ConcurrencyLimiter _atOnce;
    private readonly TokenBucketRateLimiter? _perMinute;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _clock;

    /// <param name="model">Its limits.</param>
    /// <param name="options">The patience, and how many can wait at most.</param>
    /// <param name="clock">Measures the patience.</param>
    public ProviderTurns(ModelOptions model, RenderingOptions options, TimeProvider clock)
    {
        _patience = options.TurnPatience;
        _clock = clock;
        _atOnce = new ConcurrencyLimiter(
            new ConcurrencyLimiterOptions { PermitLimit = model.Concurrency, QueueLimit = options.ConcurrentRenders }
        );
        if (model.RequestsPerMinute is { } rate)
        {
            // One token at a time: a burst would be the very thing that providers answer with 429.
            _perMinute = new TokenBucketRateLimiter(
                new TokenBucketRateLimiterOptions
                {
                    TokenLimit = 1,
                    TokensPerPeriod = 1,
                    ReplenishmentPeriod = TimeSpan.FromMinutes(1) / rate,
                    QueueLimit = options.ConcurrentRenders,
                }
            );
        }
    }

    /// <returns>To be disposed when the request is over; null where the turn did not come in time.</returns>
    public async Task<IDisposable?> EnterAsync(CancellationToken cancellation)
    {
        using var patience = new CancellationTokenSource(_patience, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        RateLimitLease? place = null;
        try
        {
            place = await _atOnce.AcquireAsync(cancellationToken: either.Token);
            if (place.IsAcquired && (_perMinute is null || await TakeTokenAsync(_perMinute, either.Token)))
                return place;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // The turn did not come.
        }
        catch
        {
            place?.Dispose();
            throw;
        }

        place?.Dispose();
        return null;
    }

    public void Dispose()
    {
        _atOnce.Dispose();
        _perMinute?.Dispose();
    }

    private static async Task<bool> TakeTokenAsync(TokenBucketRateLimiter bucket, CancellationToken cancellation)
    {
        using var token = await bucket.AcquireAsync(cancellationToken: cancellation);
        return token.IsAcquired;
    }
}
