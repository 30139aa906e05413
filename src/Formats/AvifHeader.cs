using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>
/// Walks an AVIF's boxes to the size of its primary item, and to the sizes of everything else in it that a decoder may
/// decode (ISO/IEC 14496-12 and 23008-12; AV1 Image File Format).
/// </summary>
internal static class AvifHeader
{
    private static readonly ImageRefusal Damaged = new("is an AVIF that is damaged or ends too early");

    public static bool IsAvif(ReadOnlySpan<byte> header)
    {
        if (header.Length < 16 || !header[4..].StartsWith("ftyp"u8))
            return false;

        // The major brand, then, behind the minor version, the compatible ones.
        var length = (int)Math.Min(BinaryPrimitives.ReadUInt32BigEndian(header), (uint)header.Length);
        for (var at = 8; at + 4 <= length; at += at == 8 ? 8 : 4)
        {
            var brand = header.Slice(at, 4);
            if (brand.SequenceEqual("avif"u8) || brand.SequenceEqual("avis"u8))
                return true;
        }

        return false;
    }

    public static ImageVerdict Read(ReadOnlySpan<byte> file)
    {
        ReadOnlySpan<byte> meta = default;
        ReadOnlySpan<byte> moov = default;
        var hasPixels = false;
        for (var rest = file; !rest.IsEmpty; )
        {
            if (!Box.TryTake(ref rest, out var type, out var content))
                return Damaged;
            if (type.SequenceEqual("moof"u8))
                return new ImageRefusal("is an AVIF in fragments, as films are");
            hasPixels |= type.SequenceEqual("mdat"u8) && !content.IsEmpty;
            // Decoders do not agree on which of two counts.
            if (type.SequenceEqual("meta"u8) && !TrySet(ref meta, content))
                return new ImageRefusal("is an AVIF with two headers");
            if (type.SequenceEqual("moov"u8) && !TrySet(ref moov, content))
                return new ImageRefusal("is an AVIF with two headers");
        }

        if (meta.Length < Box.FullHeader)
            return new ImageRefusal("is an AVIF without a header");
        meta = meta[Box.FullHeader..];
        if (!hasPixels && Box.Find(meta, "idat"u8).IsEmpty)
            return new ImageRefusal("is an AVIF without pixels");

        // Without its frames an animation would be a still image, whole to all appearances.
        if (file[8..].StartsWith("avis"u8) && moov.IsEmpty)
            return Damaged;
        if (AvifItems.Measure(file, meta) is not { } items || AvifTracks.Measure(file, moov) is not { } tracks)
            return Damaged;
        return items switch
        {
            (0 or > int.MaxValue, _, _) or (_, 0 or > int.MaxValue, _) => new ImageRefusal(
                "is an AVIF with an impossible width or height"
            ),
            var (width, height, pixels) => new ImageFacts(
                ImageFormat.Avif,
                (int)width,
                (int)height,
                (int)Math.Clamp(tracks.Frames, 1, int.MaxValue)
            )
            {
                Decoded = (long)UInt128.Min(UInt128.Max(pixels, tracks.Pixels), long.MaxValue),
            },
        };
    }

    private static bool TrySet(ref ReadOnlySpan<byte> box, ReadOnlySpan<byte> content)
    {
        if (!box.IsEmpty)
            return false;
        box = content;
        return true;
    }
}

/// <summary>The boxes that ISO media files are made of.</summary>
internal static class Box
{
    /// <summary>Version and flags at the beginning of a "full" box.</summary>
    public const int FullHeader = 4;

    private const int Header = 8;
    private const int LargeHeader = 16;

    /// <summary>Takes the box at the beginning; false where there is no whole one.</summary>
    public static bool TryTake(
        scoped ref ReadOnlySpan<byte> rest,
        out ReadOnlySpan<byte> type,
        out ReadOnlySpan<byte> content
    )
    {
        type = content = default;
        if (rest.Length < Header)
            return false;

        ulong length = BinaryPrimitives.ReadUInt32BigEndian(rest);
        var header = Header;
        if (length == 0)
            length = (ulong)rest.Length; // to the end of the file
        else if (length == 1)
        {
            if (rest.Length < LargeHeader)
                return false;
            length = BinaryPrimitives.ReadUInt64BigEndian(rest[Header..]);
            header = LargeHeader;
        }

        if (length < (ulong)header || length > (ulong)rest.Length)
            return false;
        type = rest.Slice(4, 4);
        content = rest[header..(int)length];
        rest = rest[(int)length..];
        return true;
    }

    /// <summary>The content of the first box of that type; empty where there is none.</summary>
    public static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> boxes, ReadOnlySpan<byte> wanted)
    {
        while (TryTake(ref boxes, out var type, out var content))
            if (type.SequenceEqual(wanted))
                return content;
        return default;
    }
}
