using System.Net;

namespace Pipeline.Workers.Fetching;

/// <summary>
/// Fetches a file from a URL that a stranger chose: bounded in size, time and redirects, and kept out of this network.
/// </summary>
internal sealed class SourceFetcher : IDisposable
{
    private readonly string _subject;
    private readonly FetchLimits _limits;
    private readonly TimeProvider _clock;
    private readonly HttpClient _client;

    /// <param name="subject">What the URL is to whoever reads the reasons, such as the field that names it.</param>
    /// <param name="limits">Chosen by the operator.</param>
    /// <param name="clock">Measures the time-out.</param>
    public SourceFetcher(string subject, FetchLimits limits, TimeProvider clock)
    {
        _subject = subject;
        _limits = limits;
        _clock = clock;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // Followed below, each hop checked.
            UseProxy = false, // A proxy would connect for us, past the check of the address.
            UseCookies = false,
            MaxResponseDrainSize = 0, // What is not wanted is not read on, even to save the connection.
            ConnectTimeout = limits.ConnectTimeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(1),
            MaxConnectionsPerServer = limits.ConnectionsPerServer,
            ConnectCallback = new PublicConnector(limits.AllowPrivateNetworks).ConnectAsync,
        };
        _client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan }; // FetchLimits.Timeout bounds it.
        _client.DefaultRequestHeaders.Add("User-Agent", "image-pipeline");
        _client.DefaultRequestHeaders.Add("Accept", "image/*");
    }

    /// <param name="url">Absolute; every other rule is checked here, as redirects have to keep to them too.</param>
    /// <param name="cancellation">The caller's; a server that is too slow is no cancellation.</param>
    /// <exception cref="SourceUnavailableException">No connection, no answer in time, or 408, 425, 429 or 5xx. Worth a retry.</exception>
    public async Task<SourceResult> FetchAsync(Uri url, CancellationToken cancellation)
    {
        using var timeout = new CancellationTokenSource(_limits.Timeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timeout.Token);
        try
        {
            return await FollowAsync(url, either.Token);
        }
        catch (HttpRequestException e) when (e.InnerException is PrivateAddressException)
        {
            return new SourceRefusal(
                $"{_subject}: '{url.Host}' leads to an address that is not on the public internet."
            );
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new SourceUnavailableException(
                $"{_subject}: '{url.Host}' did not deliver within {_limits.Timeout.TotalSeconds:0.#} s.",
                e
            );
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new SourceUnavailableException($"{_subject}: '{url.Host}' did not deliver: {e.Message}", e);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<SourceResult> FollowAsync(Uri start, CancellationToken cancellation)
    {
        var url = start;
        for (var hop = 0; hop <= _limits.RedirectLimit; hop++)
        {
            if (SourceUrl.Refuse(url) is { } rule)
                return new SourceRefusal(
                    hop == 0 ? $"{_subject}: {rule}" : $"{_subject}: redirects to a URL that {rule}"
                );

            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            using var answer = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (!IsRedirect(answer.StatusCode))
                return await ReadAsync(answer, cancellation);
            if (answer.Headers.Location is not { } location)
                return new SourceRefusal($"{_subject}: the server redirects to nowhere.");
            url = new Uri(url, location);
        }

        return new SourceRefusal($"{_subject}: the server redirects more than {_limits.RedirectLimit} times.");
    }

    private async Task<SourceResult> ReadAsync(HttpResponseMessage answer, CancellationToken cancellation)
    {
        var status = $"{(int)answer.StatusCode} {answer.StatusCode}";
        if (IsPassing(answer.StatusCode))
            throw new SourceUnavailableException($"{_subject}: the server answered {status}.");
        if (!answer.IsSuccessStatusCode)
            return new SourceRefusal($"{_subject}: the server answered {status}.");

        await using var body = await answer.Content.ReadAsStreamAsync(cancellation);
        var length = answer.Content.Headers.ContentLength;
        return await BoundedReader.ReadAsync(body, length, _limits.SizeLimitBytes, cancellation) is { } content
            ? new SourceBytes(content)
            : new SourceRefusal($"{_subject}: the file is larger than {_limits.SizeLimitBytes} bytes.");
    }

    private static bool IsRedirect(HttpStatusCode status) =>
        status
            is HttpStatusCode.MovedPermanently
                or HttpStatusCode.Found
                or HttpStatusCode.SeeOther
                or HttpStatusCode.TemporaryRedirect
                or HttpStatusCode.PermanentRedirect;

    // 425 Too Early has no name in the enum (RFC 8470).
    private static bool IsPassing(HttpStatusCode status) =>
        status is HttpStatusCode.RequestTimeout or (HttpStatusCode)425 or HttpStatusCode.TooManyRequests
        || status >= HttpStatusCode.InternalServerError;
}
