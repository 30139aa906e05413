using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Pipeline.Workers.Fetching;

namespace Pipeline.Workers.Webhooks;

/// <summary>What a receiver made of one attempt.</summary>
/// <param name="Status">Its HTTP status; null where there was no answer.</param>
/// <param name="Error">For people; null for a success.</param>
/// <param name="RetryAfter">When it wants the next attempt at the earliest.</param>
internal sealed record AttemptResult(int? Status, string? Error, TimeSpan? RetryAfter = null)
{
    /// <summary>It wants nothing more, ever.</summary>
    public bool IsGone => Status == (int)HttpStatusCode.Gone;
}

/// <summary>One HTTP request of Standard Webhooks: signed, bounded in time, not redirected, kept out of this network.</summary>
internal sealed class WebhookSender : IDisposable
{
    // A receiver may ask for patience, and not for silence.
    private static readonly TimeSpan RetryAfterMax = TimeSpan.FromDays(1);

    private readonly WebhookOptions _options;
    private readonly TimeProvider _clock;
    private readonly HttpClient _client;

    public WebhookSender(WebhookOptions options, TimeProvider clock)
    {
        _options = options;
        _clock = clock;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // "3xx: Failure", and a redirect could lead into this network.
            UseProxy = false, // A proxy would connect for us, past the check of the address.
            UseCookies = false,
            MaxResponseDrainSize = 0, // The answer's body is of no use.
            ConnectTimeout = options.AttemptTimeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            ConnectCallback = new PublicConnector(options.AllowPrivateNetworks).ConnectAsync,
        };
        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan }; // AttemptTimeout bounds it.
        _client.DefaultRequestHeaders.Add("User-Agent", "image-pipeline");
    }

    /// <param name="turn">Where to, and the secret.</param>
    /// <param name="cancellation">The worker stops; a receiver that is too slow is no cancellation.</param>
    public async Task<AttemptResult> SendAsync(DueDelivery turn, CancellationToken cancellation)
    {
        var id = turn.MessageId.ToString("D");
        var timestamp = _clock.GetUtcNow().ToUnixTimeSeconds();
        using var request = new HttpRequestMessage(HttpMethod.Post, turn.Url);
        request.Content = new ByteArrayContent(turn.Body);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add("webhook-signature", WebhookSignature.Sign(turn.Secret, id, timestamp, turn.Body));

        using var timeout = new CancellationTokenSource(_options.AttemptTimeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timeout.Token);
        try
        {
            using var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            var status = (int)answer.StatusCode;
            return answer.IsSuccessStatusCode
                ? new AttemptResult(status, Error: null)
                : new AttemptResult(status, $"The receiver answered {status}.", RetryAfter(answer.Headers.RetryAfter));
        }
        catch (HttpRequestException e) when (e.InnerException is PrivateAddressException inner)
        {
            return new AttemptResult(Status: null, inner.Message);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new AttemptResult(Status: null, $"No answer within {_options.AttemptTimeout.TotalSeconds:0.#} s.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return new AttemptResult(Status: null, e.Message);
        }
    }

    public void Dispose() => _client.Dispose();

    private TimeSpan? RetryAfter(RetryConditionHeaderValue? header)
    {
        var wish = header?.Delta ?? header?.Date - _clock.GetUtcNow();
        return wish > RetryAfterMax ? RetryAfterMax : wish;
    }
}
