using System.Net;

namespace Pipeline.Workers.Cdn;

/// <summary>HTTP PURGE, one request an object; a cache that has no copy answers 404, which is as good.</summary>
internal sealed class PurgeCdn(PurgeOptions options, HttpClient client) : ICdn
{
    private static readonly HttpMethod Purge = new("PURGE");

    public string Name => "purge";

    public Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation) =>
        CdnCaller.ForEachAsync(keys, PurgeAsync, cancellation);

    private Task<string> PurgeAsync(string key, CancellationToken cancellation)
    {
        var request = new HttpRequestMessage(Purge, new Uri($"{options.Url!.TrimEnd('/')}/{CdnPath.Of(key)}"));
        if (options.Authorization is { } authorization)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        return CdnCaller.SendAsync(client, request, x => x == HttpStatusCode.NotFound, cancellation);
    }
}
