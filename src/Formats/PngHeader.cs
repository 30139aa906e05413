using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Walks a PNG's chunks (W3C PNG specification, third edition, sections 5 and 11), APNG included.</summary>
internal static class PngHeader
{
    private const int ChunkOverhead = 12; // length, type, CRC
    private const int HeaderLength = 13;

    public static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    public static ImageVerdict Read(ReadOnlySpan<byte> file)
    {
        var rest = file[Signature.Length..];
        if (
            !TryChunk(rest, out var type, out var header)
            || !type.SequenceEqual("IHDR"u8)
            || header.Length != HeaderLength
        )
            return new ImageRefusal("is a PNG without a header");
        if (!IsPossible(header) || !CrcFits(rest, header.Length))
            return new ImageRefusal("is a PNG with a damaged header");

        var width = BinaryPrimitives.ReadUInt32BigEndian(header);
        var height = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        if (width is 0 or > int.MaxValue || height is 0 or > int.MaxValue)
            return new ImageRefusal("is a PNG with an impossible width or height");

        return ReadBody(rest[(ChunkOverhead + HeaderLength)..], (int)width, (int)height);
    }

    private static ImageVerdict ReadBody(ReadOnlySpan<byte> rest, int width, int height)
    {
        var frames = 0;
        var hasPixels = false;
        var isStillApart = false;
        while (TryChunk(rest, out var type, out var data))
        {
            rest = rest[(ChunkOverhead + data.Length)..];
            if (type.SequenceEqual("IEND"u8))
            {
                if (!hasPixels)
                    return new ImageRefusal("is a PNG without pixels");
                return rest.IsEmpty
                    ? new ImageFacts(ImageFormat.Png, width, height, Math.Max(frames, 1))
                    {
                        Decoded = (long)
                            UInt128.Min(
                                (UInt128)((long)width * height) * (UInt128)(frames + (isStillApart ? 1 : 0)),
                                long.MaxValue
                            ),
                    }
                    : new ImageRefusal($"is a PNG with {rest.Length} bytes behind its end");
            }

            if (type.SequenceEqual("IHDR"u8))
                return new ImageRefusal("is a PNG with two headers");
            hasPixels |= type.SequenceEqual("IDAT"u8) && data.Length > 0;
            isStillApart |= hasPixels && frames == 0; // An image before the first frame is none of them.
            if (type.SequenceEqual("fcTL"u8)) // One for each frame, whatever acTL claims.
                frames++;
        }

        return new ImageRefusal("is a PNG that ends too early");
    }

    /// <summary>The chunk at the beginning; false where there is no whole one.</summary>
    private static bool TryChunk(ReadOnlySpan<byte> at, out ReadOnlySpan<byte> type, out ReadOnlySpan<byte> data)
    {
        type = data = default;
        if (at.Length < ChunkOverhead)
            return false;

        var length = BinaryPrimitives.ReadUInt32BigEndian(at);
        if (length > at.Length - ChunkOverhead)
            return false;

        type = at.Slice(4, 4);
        data = at.Slice(8, (int)length);
        return true;
    }

    private static bool CrcFits(ReadOnlySpan<byte> chunk, int dataLength) =>
        Crc32.Of(chunk.Slice(4, 4 + dataLength)) == BinaryPrimitives.ReadUInt32BigEndian(chunk[(8 + dataLength)..]);

    // Bit depth for each colour type; compression, filter and interlace methods.
    private static bool IsPossible(ReadOnlySpan<byte> header) =>
        (header[9], header[8]) is (0, 1 or 2 or 4 or 8 or 16) or (3, 1 or 2 or 4 or 8) or (2 or 4 or 6, 8 or 16)
        && header[10] == 0
        && header[11] == 0
        && header[12] <= 1;
}
