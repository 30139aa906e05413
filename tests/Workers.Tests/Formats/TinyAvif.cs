using System.Buffers.Binary;
using System.Text;

namespace Pipeline.Workers.Tests.Formats;

/// <summary>AVIF files with sequence headers, and not much else, built from the specifications.</summary>
internal static class TinyAvif
{
    private const string Reduced = "000" + "11" + "00000"; // profile, still and reduced, level

    // Neither still nor reduced, with timing, a decoder model and two operating points of which one has a tier.
    private const string Full =
        "000"
        + "00"
        + "1"
        + Zeros32
        + Zeros32
        + "1"
        + "00100"
        + "1"
        + "00011"
        + Zeros32
        + "00000"
        + "00000" // uvlc of 3
        + "1"
        + "00001"
        + "000000000000"
        + "01000"
        + "0"
        + "1"
        + "0000"
        + "0000"
        + "0"
        + "1"
        + "0000"
        + "000000000000"
        + "00111"
        + "0"
        + "0";

    private const string Zeros32 = "00000000000000000000000000000000";

    /// <summary>A temporal unit: its delimiter and a sequence header.</summary>
    public static byte[] Unit(int width, int height, bool isFull = false)
    {
        var bits = $"{(isFull ? Full : Reduced)}11111111{width - 1:b16}{height - 1:b16}";
        byte[] header =
        [
            .. bits.PadRight((bits.Length + 7) / 8 * 8, '0').Chunk(8).Select(x => Convert.ToByte(new string(x), 2)),
        ];
        return [0x12, 0, 0x0A, (byte)header.Length, .. header];
    }

    /// <summary>An image item that is shown, and perhaps others that are not.</summary>
    /// <param name="width">As the container says.</param>
    /// <param name="height">As the container says.</param>
    /// <param name="shown">The bytes of the item; null for a grid.</param>
    /// <param name="others">The bytes of further items, which the container calls one pixel large.</param>
    /// <param name="areMasks">They are alpha.</param>
    /// <param name="locations">An <c>iloc</c> box in place of the right one, and an <c>idat</c> box with the shown item.</param>
    /// <param name="behind">Bytes behind those of the items.</param>
    /// <param name="moov">A <c>moov</c> box, made of the offset of those bytes.</param>
    public static byte[] File(
        int width,
        int height,
        byte[]? shown,
        byte[][]? others = null,
        bool areMasks = false,
        byte[]? locations = null,
        byte[]? behind = null,
        Func<int, byte[]>? moov = null
    )
    {
        byte[][] items = [shown ?? [1], .. others ?? []];
        byte[] type =
        [
            .. TinyFiles.IsoBox("ftyp", [.. moov is null ? "avif"u8 : "avis"u8, 0, 0, 0, 0, .. "mif1avif"u8]),
        ];
        var at = type.Length + 8;
        var offsets = items.Select((_, x) => at + items.Take(x).Sum(y => y.Length)).ToArray();
        byte[] properties =
        [
            .. TinyFiles.IsoBox("ispe", [0, 0, 0, 0, .. Big32(width), .. Big32(height)]),
            .. TinyFiles.IsoBox("ispe", [0, 0, 0, 0, .. Big32(1), .. Big32(1)]),
            .. TinyFiles.IsoBox("av1C", [0x81, 0, 0, 0]),
            .. TinyFiles.IsoBox("auxC", [0, 0, 0, 0, 0]),
        ];
        byte[] first = [0, 1, .. shown is null ? new byte[] { 1, 1 } : [2, 1, 3]];
        byte[] rest =
        [
            .. items.Skip(1).SelectMany((_, x) => (byte[])[0, (byte)(x + 2), 3, 2, 3, (byte)(areMasks ? 4 : 0)]),
        ];
        byte[] meta =
        [
            .. new byte[4],
            .. TinyFiles.IsoBox("pitm", [0, 0, 0, 0, 0, 1]),
            .. locations is null ? [] : TinyFiles.IsoBox("idat", items[0]),
            .. TinyFiles.IsoBox(
                "iloc",
                locations
                    ??
                    [
                        0,
                        0,
                        0,
                        0,
                        0x44,
                        0,
                        0,
                        (byte)items.Length,
                        .. items.SelectMany(
                            (x, i) => (byte[])[0, (byte)(i + 1), 0, 0, 0, 1, .. Big32(offsets[i]), .. Big32(x.Length)]
                        ),
                    ]
            ),
            .. TinyFiles.IsoBox(
                "iprp",
                [
                    .. TinyFiles.IsoBox("ipco", properties),
                    .. TinyFiles.IsoBox("ipma", [0, 0, 0, 0, .. Big32(items.Length), .. first, .. rest]),
                ]
            ),
        ];
        return
        [
            .. type,
            .. TinyFiles.IsoBox("mdat", [.. items.SelectMany(x => x), .. behind ?? []]),
            .. TinyFiles.IsoBox("meta", meta),
            .. moov?.Invoke(at + items.Sum(x => x.Length)) ?? [],
        ];
    }

    /// <summary>An animation of some tracks, which share their frames.</summary>
    /// <param name="width">As the container says.</param>
    /// <param name="height">As the container says.</param>
    /// <param name="frames">A temporal unit each.</param>
    /// <param name="rounds">How often each track has them, always the same bytes.</param>
    /// <param name="handlers">One a track: <c>pict</c>, or <c>auxv</c> for alpha.</param>
    public static byte[] Animation(int width, int height, byte[][] frames, int rounds, params string[] handlers) =>
        File(
            width,
            height,
            Unit(width, height),
            behind: [.. frames.SelectMany(x => x)],
            moov: at =>
                TinyFiles.IsoBox("moov", [.. handlers.SelectMany(x => Track(x, width, height, frames, rounds, at))])
        );

    private static byte[] Track(string handler, int width, int height, byte[][] frames, int rounds, int offset)
    {
        byte[] entry = [.. new byte[24], .. Big32(width)[2..], .. Big32(height)[2..], .. new byte[50]];
        var chunks = Enumerable.Range(0, rounds);
        byte[] sizes = [.. frames.SelectMany(x => Big32(x.Length))];
        byte[] table =
        [
            .. TinyFiles.IsoBox("stsd", [0, 0, 0, 0, .. Big32(1), .. TinyFiles.IsoBox("av01", entry)]),
            .. TinyFiles.IsoBox("stsc", [0, 0, 0, 0, .. Big32(1), .. Big32(1), .. Big32(frames.Length), .. Big32(1)]),
            .. TinyFiles.IsoBox(
                "stsz",
                [0, 0, 0, 0, .. Big32(0), .. Big32(frames.Length * rounds), .. chunks.SelectMany(_ => sizes)]
            ),
            .. TinyFiles.IsoBox("stco", [0, 0, 0, 0, .. Big32(rounds), .. chunks.SelectMany(_ => Big32(offset))]),
        ];
        byte[] media =
        [
            .. TinyFiles.IsoBox("hdlr", [0, 0, 0, 0, 0, 0, 0, 0, .. Encoding.ASCII.GetBytes(handler), .. new byte[13]]),
            .. TinyFiles.IsoBox("minf", TinyFiles.IsoBox("stbl", table)),
        ];
        return TinyFiles.IsoBox("trak", TinyFiles.IsoBox("mdia", media));
    }

    private static byte[] Big32(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }
}
