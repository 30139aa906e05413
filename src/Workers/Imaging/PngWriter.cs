using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Pipeline.Formats;

namespace Pipeline.Workers.Imaging;

/// <summary>Writes 8-bit RGB pictures as PNG (W3C PNG specification, third edition).</summary>
internal static class PngWriter
{
    private const int BytesPerPixel = 3;
    private const byte TrueColour = 2;
    private const byte FilterUp = 2; // Each byte as its difference to the one above: a sky becomes nearly all zeros.
    private const int KeywordLimit = 79;

    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="rgb">Three bytes a pixel, row by row from the top.</param>
    /// <param name="texts">Keyword (up to 79 characters) and text. What Latin-1 does not have becomes a question mark.</param>
    public static byte[] Write(
        int width,
        int height,
        ReadOnlySpan<byte> rgb,
        IReadOnlyList<(string Keyword, string Text)> texts
    )
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(rgb.Length, width * height * BytesPerPixel, nameof(rgb));

        using var file = new MemoryStream();
        file.Write(PngHeader.Signature);
        WriteChunk(file, "IHDR"u8, Header(width, height));
        foreach (var (keyword, text) in texts)
            WriteChunk(file, "tEXt"u8, Text(keyword, text));
        WriteChunk(file, "IDAT"u8, Compress(rgb, width * BytesPerPixel));
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    private static byte[] Header(int width, int height)
    {
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        header[8] = 8; // bits a channel
        header[9] = TrueColour;
        return header;
    }

    private static byte[] Text(string keyword, string text)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(keyword.Length, KeywordLimit, nameof(keyword));
        return [.. Latin1(keyword), 0, .. Latin1(text)];
    }

    // Control characters other than the line feed may not stand in a text chunk, and a zero would end it.
    private static byte[] Latin1(string text) =>
        [
            .. text.EnumerateRunes()
                .Select(rune =>
                    rune.Value switch
                    {
                        '\n' => (byte)'\n',
                        < 0x20 or (>= 0x7F and < 0xA0) => (byte)' ',
                        <= 0xFF => (byte)rune.Value,
                        _ => (byte)'?',
                    }
                ),
        ];

    private static ReadOnlySpan<byte> Compress(ReadOnlySpan<byte> rgb, int stride)
    {
        using var packed = new MemoryStream(rgb.Length / 8);
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            var line = new byte[1 + stride];
            line[0] = FilterUp;
            ReadOnlySpan<byte> above = new byte[stride];
            for (var rest = rgb; !rest.IsEmpty; rest = rest[stride..])
            {
                var row = rest[..stride];
                for (var x = 0; x < stride; x++)
                    line[x + 1] = (byte)(row[x] - above[x]);
                zlib.Write(line);
                above = row;
            }
        }

        return packed.GetBuffer().AsSpan(0, (int)packed.Length);
    }

    private static void WriteChunk(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        var chunk = new byte[12 + data.Length];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        type.CopyTo(chunk.AsSpan(4));
        data.CopyTo(chunk.AsSpan(8));
        BinaryPrimitives.WriteUInt32BigEndian(
            chunk.AsSpan(8 + data.Length),
            Crc32.Of(chunk.AsSpan(4, 4 + data.Length))
        );
        file.Write(chunk);
    }
}
