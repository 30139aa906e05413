using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>The image sequences in a file's <c>moov</c> box (ISO/IEC 14496-12, section 8; 23008-12, section 7).</summary>
internal static class AvifTracks
{
    private const int SampleEntryHeader = 78; // of a visual sample entry, before its own boxes
    private const int WidthInEntry = 24;

    // Of the samples of all tracks together.
    private const int ObuLimit = 1_000_000;

    /// <summary>How many frames the longest track has, and the pixels of all frames; null where the file is damaged.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="moov">The content of the <c>moov</c> box.</param>
    public static (uint Frames, UInt128 Pixels)? Measure(ReadOnlySpan<byte> file, ReadOnlySpan<byte> moov)
    {
        uint frames = 0;
        UInt128 images = 0;
        UInt128 masks = 0;
        var left = ObuLimit;
        while (Box.TryTake(ref moov, out var type, out var track))
        {
            if (!type.SequenceEqual("trak"u8))
                continue;
            var media = Box.Find(track, "mdia"u8);
            var table = Box.Find(Box.Find(media, "minf"u8), "stbl"u8);
            var sequence = new Av1Sequence(left);
            if (!TryReadEntries(Box.Find(table, "stsd"u8), ref sequence, out var canvas))
                return null;
            if (canvas == 0)
                continue; // no images
            if (!AvifSamples.TryWalk(file, table, ref sequence, out var samples))
                return null;

            left = sequence.Left;
            var pixels = UInt128.Max(canvas, (UInt128)sequence.Width * sequence.Height) * samples;
            // Alpha and depth are decoded beside the images.
            var handler = Box.Find(media, "hdlr"u8);
            if (handler.Length >= Box.FullHeader + 8 && handler[(Box.FullHeader + 4)..].StartsWith("auxv"u8))
                masks += pixels;
            else
                (images, frames) = (images + pixels, Math.Max(frames, samples));
        }

        return (frames, UInt128.Max(images, masks));
    }

    /// <summary>The canvas of the largest sample entry; 0 for a track of something else.</summary>
    private static bool TryReadEntries(ReadOnlySpan<byte> stsd, ref Av1Sequence sequence, out UInt128 canvas)
    {
        canvas = 0;
        if (stsd.Length < Box.FullHeader + 4)
            return false;
        var entries = stsd[(Box.FullHeader + 4)..];
        while (Box.TryTake(ref entries, out var type, out var entry))
        {
            if (!type.SequenceEqual("av01"u8))
                continue;
            if (entry.Length < SampleEntryHeader)
                return false;
            UInt128 pixels = BinaryPrimitives.ReadUInt16BigEndian(entry[WidthInEntry..]);
            pixels *= BinaryPrimitives.ReadUInt16BigEndian(entry[(WidthInEntry + 2)..]);
            canvas = UInt128.Max(canvas, UInt128.Max(pixels, 1));
            // A sequence header may stand here instead of in the samples (AV1 Codec ISO Media File Format Binding).
            var codec = Box.Find(entry[SampleEntryHeader..], "av1C"u8);
            if (codec.Length > 4 && !sequence.TryWalk(codec[4..]))
                return false;
        }

        return true;
    }
}
