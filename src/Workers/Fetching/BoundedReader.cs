namespace Pipeline.Workers.Fetching;

/// <summary>Reads a stream whose sender may not keep to any size.</summary>
internal static class BoundedReader
{
    private const int ChunkBytes = 81_920;

    /// <summary>The whole stream; null as soon as it proves larger than the limit.</summary>
    /// <param name="stream">Read to its end, or a little beyond the limit.</param>
    /// <param name="expectedBytes">What the sender announced, if anything; a hint that is not trusted.</param>
    /// <param name="limitBytes">Chosen by the operator.</param>
    /// <param name="cancellation">The caller's, or its time-out.</param>
    public static async Task<ReadOnlyMemory<byte>?> ReadAsync(
        Stream stream,
        long? expectedBytes,
        int limitBytes,
        CancellationToken cancellation
    )
    {
        if (expectedBytes > limitBytes)
            return null;

        var content = new byte[expectedBytes is > 0 ? (int)expectedBytes + 1 : ChunkBytes];
        var length = 0;
        while (true)
        {
            if (length == content.Length)
                Array.Resize(ref content, Math.Min(content.Length * 2, limitBytes + 1));
            var read = await stream.ReadAsync(content.AsMemory(length), cancellation);
            if (read == 0)
                return content.AsMemory(0, length);
            length += read;
            if (length > limitBytes)
                return null;
        }
    }
}
