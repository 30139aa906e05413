using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Walks a GIF's blocks to its trailer (GIF89a specification, sections 17 to 27).</summary>
internal static class GifHeader
{
    private const int HeaderLength = 13; // signature and screen descriptor
    private const int FrameLength = 9; // image descriptor without its introducer
    private const byte Extension = 0x21;
    private const byte Frame = 0x2C;
    private const byte Trailer = 0x3B;

    private static readonly ImageRefusal Short = new("is a GIF that is damaged or ends too early");

    public static ImageVerdict Read(ReadOnlySpan<byte> file)
    {
        if (file.Length < HeaderLength)
            return Short;

        int width = BinaryPrimitives.ReadUInt16LittleEndian(file[6..]);
        int height = BinaryPrimitives.ReadUInt16LittleEndian(file[8..]);
        var at = HeaderLength + ColourTable(file[10]);
        var frames = 0;
        while (at < file.Length)
        {
            var introducer = file[at++];
            if (introducer == Trailer)
                return Finish(width, height, frames);

            if (introducer == Frame)
            {
                if (file.Length - at < FrameLength)
                    return Short;
                // Browsers enlarge the canvas to the first frame, so the larger of the two is what counts.
                width = Math.Max(width, BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 4)..]));
                height = Math.Max(height, BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 6)..]));
                frames++;
                at += FrameLength + ColourTable(file[at + 8]) + 1; // and the code size
            }
            else if (introducer == Extension)
                at++; // its label
            else
                return Short;

            if (!TrySkipSubBlocks(file, ref at))
                return Short;
        }

        return Short;
    }

    private static ImageVerdict Finish(int width, int height, int frames)
    {
        if (frames == 0)
            return new ImageRefusal("is a GIF without pixels");
        return width == 0 || height == 0
            ? new ImageRefusal("is a GIF with an impossible width or height")
            : new ImageFacts(ImageFormat.Gif, width, height, frames);
    }

    private static int ColourTable(byte flags) => (flags & 0x80) == 0 ? 0 : 3 * (2 << (flags & 7));

    private static bool TrySkipSubBlocks(ReadOnlySpan<byte> file, ref int at)
    {
        while (at < file.Length)
        {
            var length = file[at++];
            if (length == 0)
                return true;
            at += length;
        }

        return false;
    }
}
