using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>
/// The images in a file's <c>meta</c> box: the one that is shown, and the tiles, masks and thumbnails that a decoder may
/// decode with it (ISO/IEC 14496-12, section 8.11; 23008-12, sections 6 and 9).
/// </summary>
internal static class AvifItems
{
    // A hostile file could make every item look at every property. Real ones have a few of each, grids some hundreds.
    private const int ItemLimit = 4_096;
    private const int PropertyLimit = 4_096;

    /// <summary>Width and height of the primary item, and what all of them hold; null where the file does not say it.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="meta">The content of the <c>meta</c> box behind its version and flags.</param>
    public static AvifSizes? Measure(ReadOnlySpan<byte> file, ReadOnlySpan<byte> meta)
    {
        if (PrimaryItem(Box.Find(meta, "pitm"u8)) is not { } primary || ReadItems(meta) is not { } items)
            return null;
        if (!items.TryGetValue(primary, out var shown) || shown.Width is null || shown.Height is null)
            return null;
        if (!AvifLocations.TryFindSizes(file, meta, items))
            return null;

        // Alpha and depth are decoded beside the image, in planes of their own.
        UInt128 images = 0;
        UInt128 masks = 0;
        UInt128 largest = 0;
        foreach (var item in items.Values)
        {
            var pixels = item.Pixels;
            largest = UInt128.Max(largest, pixels);
            if (item.IsCoded && item.IsMask)
                masks += pixels;
            else if (item.IsCoded)
                images += pixels;
        }

        return new AvifSizes(shown.Width.Value, shown.Height.Value, UInt128.Max(largest, UInt128.Max(images, masks)));
    }

    private static uint? PrimaryItem(ReadOnlySpan<byte> pitm) =>
        pitm.Length switch
        {
            >= Box.FullHeader + 4 when pitm[0] > 0 => BinaryPrimitives.ReadUInt32BigEndian(pitm[Box.FullHeader..]),
            >= Box.FullHeader + 2 when pitm[0] == 0 => BinaryPrimitives.ReadUInt16BigEndian(pitm[Box.FullHeader..]),
            _ => null,
        };

    private static Dictionary<uint, AvifItem>? ReadItems(ReadOnlySpan<byte> meta)
    {
        var boxes = Box.Find(meta, "iprp"u8);
        if (ReadProperties(Box.Find(boxes, "ipco"u8)) is not { } properties)
            return null;

        var items = new Dictionary<uint, AvifItem>();
        while (Box.TryTake(ref boxes, out var type, out var content))
            if (type.SequenceEqual("ipma"u8) && !TryAssociate(content, properties, items))
                return null;
        return items;
    }

    private static List<AvifProperty>? ReadProperties(ReadOnlySpan<byte> container)
    {
        var properties = new List<AvifProperty>();
        while (Box.TryTake(ref container, out var type, out var content))
        {
            if (properties.Count == PropertyLimit)
                return null;
            properties.Add(AvifProperty.Read(type, content));
        }

        return properties;
    }

    private static bool TryAssociate(
        ReadOnlySpan<byte> ipma,
        List<AvifProperty> properties,
        Dictionary<uint, AvifItem> items
    )
    {
        if (ipma.Length < Box.FullHeader + 4)
            return false;
        // Version 1 has item ids of 32 bits; flag 1 has property indexes of 15 bits.
        var idLength = ipma[0] == 0 ? 2 : 4;
        var indexLength = (ipma[3] & 1) == 0 ? 1 : 2;
        var entries = BinaryPrimitives.ReadUInt32BigEndian(ipma[Box.FullHeader..]);
        var rest = ipma[(Box.FullHeader + 4)..];
        for (uint entry = 0; entry < entries; entry++)
        {
            if (rest.Length <= idLength)
                return false;
            var id =
                idLength == 2 ? BinaryPrimitives.ReadUInt16BigEndian(rest) : BinaryPrimitives.ReadUInt32BigEndian(rest);
            var length = rest[idLength] * indexLength;
            rest = rest[(idLength + 1)..];
            if (rest.Length < length)
                return false;
            if (!items.TryGetValue(id, out var item))
            {
                if (items.Count == ItemLimit)
                    return false;
                items.Add(id, item = new AvifItem());
            }

            for (var indexes = rest[..length]; !indexes.IsEmpty; indexes = indexes[indexLength..])
            {
                // The highest bit says whether the property is essential; indexes count from 1, and 0 is none.
                var index =
                    indexLength == 1 ? indexes[0] & 0x7F : BinaryPrimitives.ReadUInt16BigEndian(indexes) & 0x7FFF;
                if (index > 0 && index <= properties.Count)
                    properties[index - 1].ApplyTo(item);
            }

            rest = rest[length..];
        }

        return true;
    }
}

/// <summary>What the items of a file say of their sizes.</summary>
/// <param name="Width">Of the primary item, pixels.</param>
/// <param name="Height">Of the primary item, pixels.</param>
/// <param name="Pixels">All that a decoder may decode at once.</param>
internal sealed record AvifSizes(uint Width, uint Height, UInt128 Pixels);

/// <summary>One item, as its properties describe it.</summary>
internal sealed class AvifItem
{
    public uint? Width { get; set; }

    public uint? Height { get; set; }

    /// <summary>It has an image of its own, and is not only made of others, as a grid is.</summary>
    public bool IsCoded { get; set; }

    /// <summary>Alpha or depth.</summary>
    public bool IsMask { get; set; }

    /// <summary>By its sequence header; 0 before that was read.</summary>
    public UInt128 CodedPixels { get; set; }

    public UInt128 Pixels => UInt128.Max(CodedPixels, (UInt128)(Width ?? 0) * (Height ?? 0));
}

/// <summary>A property that matters here; nothing for any other.</summary>
/// <param name="Width">Of <c>ispe</c>.</param>
/// <param name="Height">Of <c>ispe</c>.</param>
/// <param name="IsCodec">It is <c>av1C</c>.</param>
/// <param name="IsAuxiliary">It is <c>auxC</c>.</param>
internal sealed record AvifProperty(uint? Width, uint? Height, bool IsCodec, bool IsAuxiliary)
{
    public static AvifProperty Read(ReadOnlySpan<byte> type, ReadOnlySpan<byte> content)
    {
        var isSize = type.SequenceEqual("ispe"u8) && content.Length >= Box.FullHeader + 8;
        return new AvifProperty(
            isSize ? BinaryPrimitives.ReadUInt32BigEndian(content[Box.FullHeader..]) : null,
            isSize ? BinaryPrimitives.ReadUInt32BigEndian(content[(Box.FullHeader + 4)..]) : null,
            type.SequenceEqual("av1C"u8),
            type.SequenceEqual("auxC"u8)
        );
    }

    public void ApplyTo(AvifItem item)
    {
        item.Width ??= Width;
        item.Height ??= Height;
        item.IsCoded |= IsCodec;
        item.IsMask |= IsAuxiliary;
    }
}
