using System.Net;
using System.Text;
using Pipeline.Wire;

namespace Pipeline.Workers.Cdn;

/// <summary>One HTTP request to a CDN, and what its answer means.</summary>
internal static class CdnCaller
{
    private const int ReasonLength = 500;

    // For APIs that take one object a request: a project's thousands are told within minutes, and no limit is met.
    private const int Concurrency = 8;

    /// <summary>Calls once a key, several at a time; the first failure ends the rest.</summary>
    /// <inheritdoc cref="ICdn.InvalidateAsync" path="/exception"/>
    public static Task ForEachAsync(
        IReadOnlyList<string> keys,
        Func<string, CancellationToken, Task> call,
        CancellationToken cancellation
    ) =>
        Parallel.ForEachAsync(
            keys,
            new ParallelOptions { MaxDegreeOfParallelism = Concurrency, CancellationToken = cancellation },
            async (key, stopping) => await call(key, stopping)
        );

    /// <param name="client">The CDN's.</param>
    /// <param name="request">Disposed here.</param>
    /// <param name="isDone">Statuses that mean success beside 2xx.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>The answer's body.</returns>
    /// <inheritdoc cref="ICdn.InvalidateAsync" path="/exception"/>
    public static async Task<string> SendAsync(
        HttpClient client,
        HttpRequestMessage request,
        Func<HttpStatusCode, bool> isDone,
        CancellationToken cancellation
    )
    {
        try
        {
            using (request)
            using (var answer = await client.SendAsync(request, cancellation))
            {
                // Whatever character set it names: the codes in it are ASCII.
                var body = Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync(cancellation));
                if (answer.IsSuccessStatusCode || isDone(answer.StatusCode))
                    return body;

                // Never the address alone: it may carry a person's own token.
                var reason = $"{(int)answer.StatusCode} {answer.ReasonPhrase}: {body}";
                reason = ShortText.Cut(reason, ReasonLength);
                throw IsTransient(answer.StatusCode)
                    ? new CdnUnavailableException(reason)
                    : new CdnRefusedException(reason);
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException || IsTimeout(e, cancellation))
        {
            throw new CdnUnavailableException($"No answer: {e.Message}", e);
        }
    }

    private static bool IsTransient(HttpStatusCode status) =>
        status is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests || (int)status >= 500;

    // HttpClient's own time-out is an OperationCanceledException too.
    private static bool IsTimeout(Exception e, CancellationToken cancellation) =>
        e is OperationCanceledException && !cancellation.IsCancellationRequested;
}
