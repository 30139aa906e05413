using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Pipeline.Formats;

/// <summary>Finds the bytes of items through <c>iloc</c>, and in them how large they are (ISO/IEC 14496-12, section 8.11.3).</summary>
internal static class AvifLocations
{
    // An item is one temporal unit, of a handful of units; a file's are looked at together.
    private const int ObuLimit = 100_000;

    // Real files have a few; a hostile one could name billions, at no cost in bytes.
    private const int LocationLimit = 100_000;

    /// <summary>Fills in <see cref="AvifItem.CodedPixels"/>.</summary>
    /// <returns>False where the bytes of a coded item cannot be found, or say no size.</returns>
    public static bool TryFindSizes(ReadOnlySpan<byte> file, ReadOnlySpan<byte> meta, Dictionary<uint, AvifItem> items)
    {
        if (!items.Values.Any(x => x.IsCoded))
            return true;
        var iloc = Box.Find(meta, "iloc"u8);
        if (iloc.Length < Box.FullHeader + 2)
            return false;

        var version = iloc[0];
        var fields = new Fields(iloc[(Box.FullHeader + 2)..]);
        var (sizes, baseAndIndex) = (iloc[Box.FullHeader], iloc[Box.FullHeader + 1]);
        var (offsetSize, lengthSize, baseSize) = (sizes >> 4, sizes & 0xF, baseAndIndex >> 4);
        var indexSize = version == 0 ? 0 : baseAndIndex & 0xF;
        var idSize = version < 2 ? 2 : 4;
        var inside = Box.Find(meta, "idat"u8);
        var (left, locationsLeft) = (ObuLimit, LocationLimit);
        for (var count = fields.Take(idSize); count > 0 && !fields.IsBeyondEnd; count--)
        {
            var item = items.GetValueOrDefault((uint)fields.Take(idSize));
            // 0: offsets are the file's, 1: those of the box idat.
            var data = version == 0 || (fields.Take(2) & 0xF) == 0 ? file : inside;
            fields.Take(2); // the reference of the data
            if (--locationsLeft < 0)
                return false;
            var start = fields.Take(baseSize);
            var sequence = new Av1Sequence(left);
            for (var extents = fields.Take(2); extents > 0 && !fields.IsBeyondEnd; extents--)
            {
                if (--locationsLeft < 0)
                    return false;
                fields.Take(indexSize);
                var (offset, length) = (start + fields.Take(offsetSize), fields.Take(lengthSize));
                if (item?.IsCoded != true)
                    continue;
                if (offset > (ulong)data.Length || length > (ulong)data.Length - offset)
                    return false;
                var extent = data[(int)offset..];
                if (!sequence.TryWalk(length == 0 ? extent : extent[..(int)length]))
                    return false;
            }

            left = sequence.Left;
            if (item is not null)
                item.CodedPixels = UInt128.Max(item.CodedPixels, (UInt128)sequence.Width * sequence.Height);
        }

        return !fields.IsBeyondEnd && items.Values.All(x => !x.IsCoded || x.CodedPixels > 0);
    }

    /// <summary>Numbers of several lengths, one behind the other.</summary>
    [StructLayout(LayoutKind.Auto)]
    private ref struct Fields(ReadOnlySpan<byte> data)
    {
        private ReadOnlySpan<byte> _rest = data;

        public bool IsBeyondEnd { get; private set; }

        /// <summary>0 behind the end.</summary>
        public ulong Take(int length)
        {
            if (length > _rest.Length || length > sizeof(ulong))
            {
                IsBeyondEnd = true;
                return 0;
            }

            ulong value = 0;
            for (var at = 0; at < length; at++)
                value = (value << 8) | _rest[at];
            _rest = _rest[length..];
            return value;
        }
    }
}
