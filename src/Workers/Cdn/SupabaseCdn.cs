using System.Net;
using System.Net.Http.Headers;

namespace Pipeline.Workers.Cdn;

/// <summary>Supabase Storage's <c>DELETE /cdn/{bucket}/{path}</c>: the object's copies, then those of its transformations.</summary>
internal sealed class SupabaseCdn(SupabaseOptions options, HttpClient client) : ICdn
{
    public string Name => "supabase";

    public Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation) =>
        CdnCaller.ForEachAsync(
            keys,
            async (key, stopping) =>
            {
                await PurgeAsync(key, "", stopping);
                await PurgeAsync(key, "?transformations=true", stopping);
            },
            cancellation
        );

    private Task<string> PurgeAsync(string key, string query, CancellationToken cancellation)
    {
        var path = $"/storage/v1/cdn/{Uri.EscapeDataString(options.Bucket!)}/{CdnPath.Of(key)}{query}";
        var request = new HttpRequestMessage(HttpMethod.Delete, new Uri(new Uri(options.Url!), path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.ServiceKey);
        request.Headers.Add("apikey", options.ServiceKey);
        return CdnCaller.SendAsync(client, request, x => x == HttpStatusCode.NotFound, cancellation);
    }
}
