using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Walks a WebP's chunks: lossy, lossless and extended (RFC 9649, section 2).</summary>
internal static class WebpHeader
{
    private const int RiffHeader = 8;
    private const int ChunkHeader = 8;
    private const int FrameHeader = 16; // of ANMF, before the frame's own chunks

    private static readonly ImageRefusal Damaged = new("is a WebP that is damaged or ends too early");

    private static readonly ImageRefusal Disagreement = new(
        "is a WebP whose canvas and picture disagree about the size"
    );

    public static ImageVerdict Read(ReadOnlySpan<byte> file)
    {
        var size = BinaryPrimitives.ReadUInt32LittleEndian(file[4..]);
        if (size < 4 || size > file.Length - RiffHeader)
            return Damaged;

        var rest = file.Slice(RiffHeader + 4, (int)size - 4);
        if (!TryChunk(ref rest, out var type, out var data))
            return Damaged;
        if (!type.SequenceEqual("VP8X"u8))
            return ReadStill(type, data) ?? Damaged;
        if (data.Length < 10)
            return Damaged;

        var width = 1 + ReadUInt24(data[4..]);
        var height = 1 + ReadUInt24(data[7..]);
        return ReadExtended(rest, width, height);
    }

    private static ImageVerdict ReadExtended(ReadOnlySpan<byte> rest, int width, int height)
    {
        var frames = 0;
        while (!rest.IsEmpty)
        {
            if (!TryChunk(ref rest, out var type, out var data))
                return Damaged;
            if (type.SequenceEqual("ANMF"u8))
            {
                if (data.Length < FrameHeader + ChunkHeader)
                    return Damaged;
                if (!FitsCanvas(data[FrameHeader..], width, height))
                    return Disagreement;
                frames++;
            }
            else if (ReadStill(type, data) is { } still)
                return still is ImageFacts facts && (facts.Width != width || facts.Height != height)
                    ? Disagreement
                    : still;
        }

        return frames == 0
            ? new ImageRefusal("is a WebP without pixels")
            : new ImageFacts(ImageFormat.Webp, width, height, frames);
    }

    /// <summary>Whether what a frame has inside is no larger than what is said of the animation.</summary>
    private static bool FitsCanvas(ReadOnlySpan<byte> frame, int width, int height)
    {
        while (TryChunk(ref frame, out var type, out var data))
            if (ReadStill(type, data) is { } still)
                return still is ImageFacts facts && facts.Width <= width && facts.Height <= height;
        return true;
    }

    /// <summary>Reads VP8 (RFC 6386, section 9.1) or VP8L (RFC 9649, section 3.4); null for another chunk.</summary>
    private static ImageVerdict? ReadStill(ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        if (type.SequenceEqual("VP8 "u8))
        {
            if (data.Length < 10 || (data[0] & 1) != 0 || !data[3..].StartsWith((ReadOnlySpan<byte>)[0x9D, 0x01, 0x2A]))
                return Damaged;
            return Facts(
                BinaryPrimitives.ReadUInt16LittleEndian(data[6..]) & 0x3FFF,
                BinaryPrimitives.ReadUInt16LittleEndian(data[8..]) & 0x3FFF
            );
        }

        if (!type.SequenceEqual("VP8L"u8))
            return null;
        if (data.Length < 5 || data[0] != 0x2F)
            return Damaged;
        var bits = BinaryPrimitives.ReadUInt32LittleEndian(data[1..]);
        return bits >> 29 != 0 ? Damaged : Facts(1 + (int)(bits & 0x3FFF), 1 + (int)((bits >> 14) & 0x3FFF));
    }

    private static ImageVerdict Facts(int width, int height) =>
        width == 0 || height == 0
            ? new ImageRefusal("is a WebP with an impossible width or height")
            : new ImageFacts(ImageFormat.Webp, width, height);

    /// <summary>Takes the chunk at the beginning, and its padding; false where there is no whole one.</summary>
    private static bool TryChunk(
        scoped ref ReadOnlySpan<byte> rest,
        out ReadOnlySpan<byte> type,
        out ReadOnlySpan<byte> data
    )
    {
        type = data = default;
        if (rest.Length < ChunkHeader)
            return false;
        var length = BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]);
        if (length > rest.Length - ChunkHeader)
            return false;

        type = rest[..4];
        data = rest.Slice(ChunkHeader, (int)length);
        var end = ChunkHeader + (int)length;
        rest = rest[Math.Min(rest.Length, end + (end & 1))..];
        return true;
    }

    private static int ReadUInt24(ReadOnlySpan<byte> at) => at[0] | at[1] << 8 | at[2] << 16;
}
