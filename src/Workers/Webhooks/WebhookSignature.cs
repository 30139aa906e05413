using System.Security.Cryptography;
using System.Text;

namespace Pipeline.Workers.Webhooks;

/// <summary>The symmetric signature of Standard Webhooks 1.0.0, "Signature scheme".</summary>
/// <remarks>https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md</remarks>
internal static class WebhookSignature
{
    // "Random. Between 24 bytes (192 bits) and 64 bytes (512 bits)", Base64, "prefixed with whsec_".
    private const string SecretPrefix = "whsec_";
    private const int SecretBytesMin = 24;
    private const int SecretBytesMax = 64;

    /// <summary>The header <c>webhook-signature</c>: <c>v1,</c> and Base64 of HMAC-SHA256 over <c>id.timestamp.body</c>.</summary>
    /// <param name="secret">As the subscription holds it; <see cref="KeyOf"/> has read it once before.</param>
    /// <param name="id">The header <c>webhook-id</c>; without a full stop.</param>
    /// <param name="timestamp">The header <c>webhook-timestamp</c>: the attempt's Unix time in seconds.</param>
    /// <param name="body">The bytes as they are sent.</param>
    public static string Sign(string secret, string id, long timestamp, ReadOnlySpan<byte> body)
    {
        var key = KeyOf(secret) ?? throw new ArgumentException("It is no secret of a webhook.", nameof(secret));
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hmac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hmac.AppendData(body);
        return $"v1,{Convert.ToBase64String(hmac.GetHashAndReset())}";
    }

    /// <returns>The key's bytes; null where the text is no such secret.</returns>
    public static byte[]? KeyOf(string secret)
    {
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal))
            return null;
        var key = new byte[SecretBytesMax + 3];
        return
            Convert.TryFromBase64String(secret[SecretPrefix.Length..], key, out var length)
            && length is >= SecretBytesMin and <= SecretBytesMax
            ? key[..length]
            : null;
    }
}
