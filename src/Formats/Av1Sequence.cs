using System.Runtime.InteropServices;

namespace Pipeline.Formats;

/// <summary>
/// Reads the size from AV1's sequence headers, which is what a decoder makes room for, whatever the file around them
/// says (AV1 Bitstream and Decoding Process Specification, sections 5.3 to 5.5).
/// </summary>
/// <param name="obus">How many units it may look at, in all that it is given.</param>
[StructLayout(LayoutKind.Auto)]
internal ref struct Av1Sequence(int obus)
{
    private const int SequenceHeader = 1;

    private int _left = obus;

    /// <summary>How many units it may still look at.</summary>
    public readonly int Left => _left;

    /// <summary>The largest width of a sequence header that was found; 0 before the first one.</summary>
    public uint Width { get; private set; }

    /// <inheritdoc cref="Width"/>
    public uint Height { get; private set; }

    /// <summary>Looks at all units of some data.</summary>
    /// <returns>False where they are damaged, or too many.</returns>
    public bool TryWalk(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (--_left < 0)
                return false;
            var header = data[0];
            var at = (header & 0b100) == 0 ? 1 : 2; // with an extension
            var length = data.Length - at;
            if (length < 0 || ((header & 0b10) != 0 && !TryLength(data, ref at, out length)))
                return false;
            if (((header >> 3) & 0b1111) == SequenceHeader && !TryRead(data.Slice(at, length)))
                return false;
            data = data[(at + length)..];
        }

        return true;
    }

    // leb128: seven bits a byte, the lowest first.
    private static bool TryLength(ReadOnlySpan<byte> data, ref int at, out int length)
    {
        ulong value = 0;
        var (bits, goesOn) = (0, true);
        for (; goesOn && bits < 56 && at < data.Length; bits += 7)
        {
            value |= (ulong)(data[at] & 0x7F) << bits;
            goesOn = (data[at++] & 0x80) != 0;
        }

        length = (int)Math.Min(value, int.MaxValue);
        return !goesOn && length <= data.Length - at;
    }

    private bool TryRead(ReadOnlySpan<byte> header)
    {
        var bits = new BitReader(header);
        bits.Skip(4); // profile and whether it is a still image
        if (bits.Take(1) == 1) // a reduced header
            bits.Skip(5);
        else
            SkipOperatingPoints(ref bits);

        var widthBits = (int)bits.Take(4) + 1;
        var heightBits = (int)bits.Take(4) + 1;
        var (width, height) = (bits.Take(widthBits) + 1, bits.Take(heightBits) + 1);
        if (bits.IsBeyondEnd)
            return false;
        (Width, Height) = (Math.Max(Width, width), Math.Max(Height, height));
        return true;
    }

    private static void SkipOperatingPoints(ref BitReader bits)
    {
        var (hasModel, delayBits) = (false, 0);
        if (bits.Take(1) == 1) // timing
        {
            bits.Skip(64);
            if (bits.Take(1) == 1)
                bits.SkipExponential();
            hasModel = bits.Take(1) == 1;
            if (hasModel)
            {
                delayBits = (int)bits.Take(5) + 1;
                bits.Skip(42);
            }
        }

        var hasDelay = bits.Take(1) == 1;
        for (var points = bits.Take(5) + 1; points > 0; points--)
        {
            bits.Skip(12);
            if (bits.Take(5) > 7) // Levels from 4.0 on have a tier.
                bits.Skip(1);
            if (hasModel && bits.Take(1) == 1)
                bits.Skip((2 * delayBits) + 1);
            if (hasDelay && bits.Take(1) == 1)
                bits.Skip(4);
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private ref struct BitReader(ReadOnlySpan<byte> data)
    {
        private readonly ReadOnlySpan<byte> _data = data;
        private int _at;

        public readonly bool IsBeyondEnd => _at > _data.Length * 8;

        /// <summary>Zeros behind the end.</summary>
        public uint Take(int count)
        {
            uint value = 0;
            for (; count > 0; count--, _at++)
                value = (value << 1) | (_at / 8 < _data.Length ? (uint)(_data[_at / 8] >> (7 - (_at % 8))) & 1 : 0);
            return value;
        }

        public void Skip(int count) => _at += count;

        // As many bits behind the first one as there are zeros before it.
        public void SkipExponential()
        {
            var zeros = 0;
            while (zeros < 32 && Take(1) == 0)
                zeros++;
            Skip(zeros < 32 ? zeros : 0);
        }
    }
}
