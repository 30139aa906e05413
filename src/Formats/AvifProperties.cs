using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Finds the primary item's <c>ispe</c> property through <c>pitm</c> and <c>ipma</c> (ISO/IEC 23008-12, section 9).</summary>
internal static class AvifProperties
{
    /// <summary>Width and height of the primary item; null where the file does not say them.</summary>
    /// <param name="meta">The content of the <c>meta</c> box behind its version and flags.</param>
    public static (uint Width, uint Height)? PrimarySize(ReadOnlySpan<byte> meta)
    {
        var properties = Box.Find(meta, "iprp"u8);
        var container = Box.Find(properties, "ipco"u8);
        var associations = Box.Find(properties, "ipma"u8);
        if (PrimaryItem(Box.Find(meta, "pitm"u8)) is not { } primary || associations.Length < Box.FullHeader + 4)
            return null;

        // Version 1 has item ids of 32 bits; flag 1 has property indexes of 15 bits.
        var idLength = associations[0] == 0 ? 2 : 4;
        var indexLength = (associations[3] & 1) == 0 ? 1 : 2;
        var entries = BinaryPrimitives.ReadUInt32BigEndian(associations[Box.FullHeader..]);
        var rest = associations[(Box.FullHeader + 4)..];
        for (uint entry = 0; entry < entries && rest.Length > idLength; entry++)
        {
            var item =
                idLength == 2 ? BinaryPrimitives.ReadUInt16BigEndian(rest) : BinaryPrimitives.ReadUInt32BigEndian(rest);
            var length = rest[idLength] * indexLength;
            rest = rest[(idLength + 1)..];
            if (rest.Length < length)
                return null;
            if (item == primary)
                return SizeAmong(rest[..length], indexLength, container);
            rest = rest[length..];
        }

        return null;
    }

    private static uint? PrimaryItem(ReadOnlySpan<byte> pitm) =>
        pitm.Length switch
        {
            >= Box.FullHeader + 4 when pitm[0] > 0 => BinaryPrimitives.ReadUInt32BigEndian(pitm[Box.FullHeader..]),
            >= Box.FullHeader + 2 when pitm[0] == 0 => BinaryPrimitives.ReadUInt16BigEndian(pitm[Box.FullHeader..]),
            _ => null,
        };

    private static (uint Width, uint Height)? SizeAmong(
        ReadOnlySpan<byte> indexes,
        int indexLength,
        ReadOnlySpan<byte> container
    )
    {
        for (; indexes.Length >= indexLength; indexes = indexes[indexLength..])
        {
            // The highest bit says whether the property is essential; indexes count from 1.
            var index = indexLength == 1 ? indexes[0] & 0x7F : BinaryPrimitives.ReadUInt16BigEndian(indexes) & 0x7FFF;
            var boxes = container;
            for (var at = 1; Box.TryTake(ref boxes, out var type, out var content) && at <= index; at++)
                if (at == index && type.SequenceEqual("ispe"u8) && content.Length >= Box.FullHeader + 8)
                    return (
                        BinaryPrimitives.ReadUInt32BigEndian(content[Box.FullHeader..]),
                        BinaryPrimitives.ReadUInt32BigEndian(content[(Box.FullHeader + 4)..])
                    );
        }

        return null;
    }
}
