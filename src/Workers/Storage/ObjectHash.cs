using System.Security.Cryptography;

namespace Pipeline.Workers.Storage;

/// <summary>What an object's bytes are, whatever its key says.</summary>
internal static class ObjectHash
{
    /// <summary>SHA-256 of an object's bytes, lower-case hexadecimal; null where it is not there.</summary>
    /// <inheritdoc cref="IImageStore.PutOnceAsync" path="/exception"/>
    public static async Task<string?> HashAsync(this IImageStore store, string key, CancellationToken cancellation)
    {
        await using var bytes = await store.OpenReadAsync(key, cancellation);
        try
        {
            return bytes is null ? null : Convert.ToHexStringLower(await SHA256.HashDataAsync(bytes, cancellation));
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw new StorageUnavailableException($"Reading {key} broke off: {e.Message}", e);
        }
    }
}
