using System.Buffers.Binary;
using System.Text;
using Pipeline.Formats;

namespace Pipeline.Workers.Tests.Formats;

/// <summary>The smallest files of each format, built byte by byte from the specifications.</summary>
internal static class TinyFiles
{
    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="frames">0 for a still image.</param>
    /// <param name="isStillApart">The image for who shows no animations is none of the frames.</param>
    public static byte[] Png(int width = 3, int height = 2, int frames = 0, bool isStillApart = false) =>
        [
            .. PngHeader.Signature,
            .. PngChunk("IHDR", [.. Big32(width), .. Big32(height), 8, 2, 0, 0, 0]),
            .. isStillApart ? PngChunk("IDAT", [0x78, 0x9C, 1, 2, 3]) : [],
            .. Enumerable.Range(0, frames).SelectMany(_ => PngChunk("fcTL", new byte[26])),
            .. isStillApart ? [] : PngChunk("IDAT", [0x78, 0x9C, 1, 2, 3]),
            .. PngChunk("IEND", []),
        ];

    public static byte[] PngChunk(string type, byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
        return [.. Big32(data.Length), .. body, .. Big32((int)Crc32.Of(body))];
    }

    /// <param name="width">Pixels.</param>
    /// <param name="height">Pixels.</param>
    /// <param name="frame">The frame's marker; C2 is progressive.</param>
    /// <param name="scans">How many scans follow.</param>
    public static byte[] Jpeg(int width = 3, int height = 2, byte frame = 0xC0, int scans = 1) =>
        [
            .. new byte[] { 0xFF, 0xD8 },
            .. JpegSegment(0xE0, [.. "JFIF\0"u8, 1, 1, 0, 0, 1, 0, 1, 0, 0]),
            .. JpegSegment(frame, [8, .. Big16(height), .. Big16(width), 1, 1, 0x11, 0]),
            .. JpegSegment(0xC4, new byte[17]),
            .. Enumerable.Range(0, scans).SelectMany(_ => JpegScan()),
            0xFF,
            0xD9,
        ];

    public static byte[] JpegSegment(byte marker, byte[] content) =>
        [0xFF, marker, .. Big16(content.Length + 2), .. content];

    // Pixels with an escaped FF, a restart marker and a fill byte before the next marker.
    private static byte[] JpegScan() =>
        [.. JpegSegment(0xDA, [1, 1, 0, 0, 63, 0]), 1, 2, 0xFF, 0, 3, 0xFF, 0xD0, 4, 0xFF];

    public static byte[] Gif(int width = 3, int height = 2, int frames = 1) =>
        [
            .. "GIF89a"u8,
            .. Little16(width),
            .. Little16(height),
            .. new byte[] { 0x80, 0, 0, 0, 0, 0, 255, 255, 255 },
            .. new byte[] { 0x21, 0xF9, 4, 0, 0, 0, 0, 0 },
            .. Enumerable.Range(0, frames).SelectMany(_ => GifFrame(width, height)),
            0x3B,
        ];

    private static byte[] GifFrame(int width, int height) =>
        [0x2C, 0, 0, 0, 0, .. Little16(width), .. Little16(height), 0, 2, 2, 0x44, 1, 0];

    public static byte[] WebpLossy(int width = 3, int height = 2) => Riff(LossyChunk(width, height));

    public static byte[] WebpLossless(int width = 3, int height = 2) => Riff(LosslessChunk(width, height));

    public static byte[] WebpExtended(int width = 3, int height = 2, int innerWidth = 3) =>
        Riff([.. ExtendedChunk(width, height), .. LosslessChunk(innerWidth, height)]);

    /// <param name="width">Of the canvas.</param>
    /// <param name="height">Of the canvas, and of each frame.</param>
    /// <param name="frames">How many there are.</param>
    /// <param name="innerWidth">Of each frame; that of the canvas where it is null.</param>
    public static byte[] WebpAnimated(int width, int height, int frames, int? innerWidth = null) =>
        Riff([
            .. ExtendedChunk(width, height),
            .. RiffChunk("ANIM", new byte[6]),
            .. Enumerable
                .Range(0, frames)
                .SelectMany(_ => RiffChunk("ANMF", [.. new byte[16], .. LosslessChunk(innerWidth ?? width, height)])),
        ]);

    private static byte[] Riff(byte[] chunks) => [.. "RIFF"u8, .. Little32(4 + chunks.Length), .. "WEBP"u8, .. chunks];

    private static byte[] LossyChunk(int width, int height) =>
        RiffChunk("VP8 ", [0x10, 0, 0, 0x9D, 0x01, 0x2A, .. Little16(width), .. Little16(height), 0]);

    private static byte[] LosslessChunk(int width, int height) =>
        RiffChunk("VP8L", [0x2F, .. Little32((width - 1) | (height - 1) << 14), 0, 0]);

    private static byte[] ExtendedChunk(int width, int height) =>
        RiffChunk("VP8X", [0, 0, 0, 0, .. Little32(width - 1).Take(3), .. Little32(height - 1).Take(3)]);

    private static byte[] RiffChunk(string type, byte[] data) =>
        [.. Encoding.ASCII.GetBytes(type), .. Little32(data.Length), .. data, .. new byte[data.Length & 1]];

    /// <summary>A thumbnail as item 2 comes first, so that only who follows the primary item finds the size.</summary>
    public static byte[] Avif(int width = 3, int height = 2, string major = "avif") =>
        [
            .. IsoBox("ftyp", [.. Encoding.ASCII.GetBytes(major), 0, 0, 0, 0, .. "mif1avif"u8]),
            .. IsoBox(
                "meta",
                [
                    .. new byte[4],
                    .. IsoBox("pitm", [0, 0, 0, 0, 0, 1]),
                    .. IsoBox(
                        "iprp",
                        [
                            .. IsoBox(
                                "ipco",
                                [
                                    .. IsoBox("ispe", [0, 0, 0, 0, .. Big32(160), .. Big32(90)]),
                                    .. IsoBox("pixi", [0, 0, 0, 0, 1, 8]),
                                    .. IsoBox("ispe", [0, 0, 0, 0, .. Big32(width), .. Big32(height)]),
                                ]
                            ),
                            .. IsoBox("ipma", [0, 0, 0, 0, .. Big32(2), 0, 2, 1, 0x81, 0, 1, 2, 2, 0x83]),
                        ]
                    ),
                ]
            ),
            .. IsoBox("mdat", [1, 2, 3]),
        ];

    public static byte[] IsoBox(string type, byte[] content) =>
        [.. Big32(8 + content.Length), .. Encoding.ASCII.GetBytes(type), .. content];

    private static byte[] Big32(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Big16(int value) => Big32(value)[2..];

    private static byte[] Little32(int value) => [.. Big32(value).Reverse()];

    private static byte[] Little16(int value) => Little32(value)[..2];
}
