using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Pipeline.Workers.Cdn;

/// <summary>Cloudinary's <c>destroy</c> with <c>invalidate=true</c>, without which its CDN keeps its copies (Upload API).</summary>
internal sealed class CloudinaryCdn(CloudinaryOptions options, HttpClient client, TimeProvider clock) : ICdn
{
    public string Name => "cloudinary";

    public Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation) =>
        CdnCaller.ForEachAsync(keys, (key, stopping) => DestroyAsync(PublicIdOf(key), stopping), cancellation);

    /// <summary>
    /// The parameters by name, joined, with the secret behind them, as SHA-1 in hexadecimal (Cloudinary documentation,
    /// "Generating authentication signatures").
    /// </summary>
    [SuppressMessage("Security", "CA5350", Justification = "Cloudinary fixes SHA-1 for its signatures.")]
    internal static string Sign(IEnumerable<KeyValuePair<string, string>> parameters, string apiSecret)
    {
        var text = string.Join(
            '&',
            parameters.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => $"{x.Key}={x.Value}")
        );
        return Convert.ToHexStringLower(SHA1.HashData(Encoding.UTF8.GetBytes(text + apiSecret)));
    }

    private async Task DestroyAsync(string publicId, CancellationToken cancellation)
    {
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["invalidate"] = "true",
            ["public_id"] = publicId,
            ["timestamp"] = clock.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
        };
        parameters["signature"] = Sign(parameters, options.ApiSecret!);
        parameters["api_key"] = options.ApiKey!;
        var address = new Uri(
            new Uri(options.Endpoint!),
            $"/v1_1/{Uri.EscapeDataString(options.CloudName!)}/image/destroy"
        );
        var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = new FormUrlEncodedContent(parameters),
        };
        var body = await CdnCaller.SendAsync(client, request, _ => false, cancellation);
        if (ResultOf(body) is not ("ok" or "not found"))
            throw new CdnRefusedException($"destroy answered {body}");
    }

    private static string? ResultOf(string body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return json.RootElement.TryGetProperty("result", out var result) ? result.GetString() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private string PublicIdOf(string key) =>
        options.PublicId.Replace("{key}", Path.ChangeExtension(key, null), StringComparison.Ordinal);
}
