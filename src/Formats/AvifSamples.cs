using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Finds the samples of a track, which lie in chunks (ISO/IEC 14496-12, sections 8.7.3 to 8.7.5).</summary>
internal static class AvifSamples
{
    private const int Count = Box.FullHeader; // where the tables have the number of their entries
    private const int Entries = Box.FullHeader + 4;
    private const int ChunkEntry = 12;

    /// <summary>Looks at every sample: each may bring a sequence header, and with it another size.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="table">The content of the <c>stbl</c> box.</param>
    /// <param name="sequence">Looks at them.</param>
    /// <param name="samples">How many there are, 1 or more.</param>
    /// <returns>False where one is not in the file, or none has a size.</returns>
    public static bool TryWalk(
        ReadOnlySpan<byte> file,
        ReadOnlySpan<byte> table,
        ref Av1Sequence sequence,
        out uint samples
    )
    {
        var sizes = Box.Find(table, "stsz"u8);
        var runs = Box.Find(table, "stsc"u8);
        var isLarge = Box.Find(table, "stco"u8).IsEmpty;
        var chunks = isLarge ? Box.Find(table, "co64"u8) : Box.Find(table, "stco"u8);
        samples = 0;
        if (sizes.Length < Entries + 4 || runs.Length < Entries || chunks.Length < Entries)
            return false;

        var sameSize = BinaryPrimitives.ReadUInt32BigEndian(sizes[Count..]);
        samples = BinaryPrimitives.ReadUInt32BigEndian(sizes[Entries..]);
        sizes = sizes[(Entries + 4)..];
        if (samples == 0 || (sameSize == 0 && (ulong)sizes.Length / 4 < samples))
            return false;
        runs = runs[Entries..];
        chunks = chunks[Entries..];

        uint sample = 0;
        uint chunk = 0;
        var offsetLength = isLarge ? 8 : 4;
        for (; sample < samples && chunks.Length >= offsetLength; chunks = chunks[offsetLength..])
        {
            chunk++;
            // An entry holds until the chunk that the next one names.
            while (runs.Length >= 2 * ChunkEntry && BinaryPrimitives.ReadUInt32BigEndian(runs[ChunkEntry..]) <= chunk)
                runs = runs[ChunkEntry..];
            if (runs.Length < ChunkEntry)
                return false;
            var offset = isLarge
                ? BinaryPrimitives.ReadUInt64BigEndian(chunks)
                : BinaryPrimitives.ReadUInt32BigEndian(chunks);
            for (
                var inChunk = BinaryPrimitives.ReadUInt32BigEndian(runs[4..]);
                inChunk > 0 && sample < samples;
                inChunk--
            )
            {
                var length = sameSize > 0 ? sameSize : BinaryPrimitives.ReadUInt32BigEndian(sizes[(int)(4 * sample)..]);
                if (length == 0 || offset > (ulong)file.Length || length > (ulong)file.Length - offset)
                    return false;
                if (!sequence.TryWalk(file.Slice((int)offset, (int)length)))
                    return false;
                offset += length;
                sample++;
            }
        }

        return sample == samples && sequence.Width > 0;
    }
}
