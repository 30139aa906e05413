using Polly;
using Polly.CircuitBreaker;

namespace Pipeline.Workers.Urls.Strategies;

/// <summary>Calls to one server: bounded in time, and left alone for a while when it does not answer.</summary>
internal sealed class RemoteCalls : IDisposable
{
    private const double OutageRatio = 0.5;
    private const int OutageThreshold = 5;
    private static readonly TimeSpan OutageWindow = TimeSpan.FromSeconds(30);

    private readonly TimeSpan _timeout;
    private readonly TimeProvider _clock;
    private readonly ResiliencePipeline<StepAnswer> _breaker;

    // A redirect would lead the key, or the check, to another server.
    private readonly HttpClient _client = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1) }
    )
    {
        Timeout = Timeout.InfiniteTimeSpan, // CallTimeout bounds it.
        MaxResponseContentBufferSize = 64 * 1024,
    };

    public RemoteCalls(UrlsOptions options, TimeProvider clock)
    {
        _timeout = options.CallTimeout;
        _clock = clock;
        _breaker = new ResiliencePipelineBuilder<StepAnswer> { TimeProvider = clock }
            .AddCircuitBreaker(
                new CircuitBreakerStrategyOptions<StepAnswer>
                {
                    FailureRatio = OutageRatio,
                    MinimumThroughput = OutageThreshold,
                    SamplingDuration = OutageWindow,
                    BreakDuration = options.RestLength,
                    ShouldHandle = x =>
                        ValueTask.FromResult(x.Outcome.Result is StepFailure { Code: StepFailures.Unavailable }),
                }
            )
            .Build();
    }

    /// <param name="request">Makes the request; called once.</param>
    /// <param name="read">Reads an answer of 2xx.</param>
    /// <param name="cancellation">The caller's; a server that is too slow is no cancellation.</param>
    public async Task<StepAnswer> AskAsync(
        Func<HttpRequestMessage> request,
        Func<HttpResponseMessage, CancellationToken, Task<StepAnswer>> read,
        CancellationToken cancellation
    )
    {
        try
        {
            return await _breaker.ExecuteAsync(
                static async (x, token) => await x.Calls.SendAsync(x.Request, x.Read, token),
                (Calls: this, Request: request, Read: read),
                cancellation
            );
        }
        catch (BrokenCircuitException)
        {
            return new StepFailure(StepFailures.Resting, "It has failed too often and is left alone for a while.");
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<StepAnswer> SendAsync(
        Func<HttpRequestMessage> make,
        Func<HttpResponseMessage, CancellationToken, Task<StepAnswer>> read,
        CancellationToken cancellation
    )
    {
        using var timeout = new CancellationTokenSource(_timeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timeout.Token);
        using var request = make();
        try
        {
            using var answer = await _client.SendAsync(request, either.Token);
            return answer.IsSuccessStatusCode
                ? await read(answer, either.Token)
                : await RefusedAsync(answer, either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return Unavailable($"No answer within {_timeout.TotalSeconds:0.#} s.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return Unavailable(e.Message);
        }
        catch (InvalidOperationException e)
        {
            return new StepFailure(StepFailures.UnexpectedAnswer, e.Message); // A character set that does not exist.
        }
    }

    private static async Task<StepAnswer> RefusedAsync(HttpResponseMessage answer, CancellationToken cancellation)
    {
        var status = (int)answer.StatusCode;
        var said = ReasonText.Of(await answer.Content.ReadAsStringAsync(cancellation));
        var reason = said.Length == 0 ? $"{status}." : $"{status}: {said}";
        return status is 408 or 425 or 429 or >= 500
            ? Unavailable(reason)
            : new StepFailure(status is 401 or 403 ? StepFailures.Credentials : StepFailures.Refused, reason);
    }

    private static StepFailure Unavailable(string reason) => new(StepFailures.Unavailable, reason);
}
