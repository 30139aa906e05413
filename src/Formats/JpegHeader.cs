using System.Buffers.Binary;

namespace Pipeline.Formats;

/// <summary>Walks a JPEG's segments and scans to its end marker (ITU-T T.81, annex B).</summary>
internal static class JpegHeader
{
    private const byte Fill = 0xFF;
    private const byte Temporary = 0x01;
    private const byte RestartFirst = 0xD0;
    private const byte RestartLast = 0xD7;
    private const byte EndOfImage = 0xD9;
    private const byte StartOfScan = 0xDA;

    // Progressive files have about ten; thousands are an attack on the decoder (libjpeg-turbo warns from 500).
    private const int ScanLimit = 500;

    /// <remarks>Bytes behind the end are let pass: telephones put previews and films there.</remarks>
    public static ImageVerdict Read(ReadOnlySpan<byte> file)
    {
        ImageFacts? facts = null;
        var scans = 0;
        var at = 2; // behind the start of image
        while (TryMarker(file, ref at, out var marker))
        {
            if (marker == EndOfImage)
                return (ImageVerdict?)(scans > 0 ? facts : null) ?? new ImageRefusal("is a JPEG without pixels");
            if (marker is Temporary or (>= RestartFirst and <= RestartLast))
                continue; // These have no length.
            if (!TrySegment(file, at, out var segment))
                break;

            at += 2 + segment.Length;
            if (IsFrame(marker))
            {
                if (facts is not null)
                    return new ImageRefusal("is a JPEG with two frames");
                switch (ReadFrame(marker, segment))
                {
                    case ImageFacts found:
                        facts = found;
                        break;
                    case var refusal:
                        return refusal;
                }
            }
            else if (marker == StartOfScan)
            {
                if (facts is null)
                    return new ImageRefusal("is a JPEG without a header");
                if (++scans > ScanLimit)
                    return new ImageRefusal($"is a JPEG of more than {ScanLimit} scans");
                at = EndOfScan(file, at);
            }
        }

        return new ImageRefusal("is a JPEG that is damaged or ends too early");
    }

    // C4, C8 and CC lie in the same range and are no frames.
    private static bool IsFrame(byte marker) => marker is >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC);

    private static ImageVerdict ReadFrame(byte marker, ReadOnlySpan<byte> segment)
    {
        if (marker is not (0xC0 or 0xC1 or 0xC2)) // baseline, extended, progressive
            return new ImageRefusal("is a JPEG of a kind that browsers do not show");
        if (segment.Length < 6 || segment[5] is 0 or > 4 || segment.Length != 6 + 3 * segment[5])
            return new ImageRefusal("is a JPEG with a damaged header");

        var height = BinaryPrimitives.ReadUInt16BigEndian(segment[1..]);
        var width = BinaryPrimitives.ReadUInt16BigEndian(segment[3..]);
        return width == 0 || height == 0
            ? new ImageRefusal("is a JPEG with an impossible width or height")
            : new ImageFacts(ImageFormat.Jpeg, width, height);
    }

    private static bool TryMarker(ReadOnlySpan<byte> file, ref int at, out byte marker)
    {
        marker = 0;
        if (at >= file.Length || file[at] != Fill)
            return false;
        while (at < file.Length && file[at] == Fill) // Any number of fill bytes may come first.
            at++;
        if (at >= file.Length)
            return false;
        marker = file[at++];
        return marker != 0;
    }

    private static bool TrySegment(ReadOnlySpan<byte> file, int at, out ReadOnlySpan<byte> segment)
    {
        segment = default;
        if (file.Length - at < 2)
            return false;
        var length = BinaryPrimitives.ReadUInt16BigEndian(file[at..]); // counts itself
        if (length < 2 || length > file.Length - at)
            return false;
        segment = file.Slice(at + 2, length - 2);
        return true;
    }

    /// <summary>Where the next marker is; within a scan FF 00 is a pixel and restart markers belong to it.</summary>
    private static int EndOfScan(ReadOnlySpan<byte> file, int at)
    {
        while (true)
        {
            var next = file[at..].IndexOf(Fill);
            if (next < 0 || at + next + 1 >= file.Length)
                return file.Length;
            at += next;
            if (file[at + 1] is not (0 or Fill or (>= RestartFirst and <= RestartLast)))
                return at;
            at += file[at + 1] == Fill ? 1 : 2;
        }
    }
}
