namespace Pipeline.Formats;

/// <summary>
/// Tells what a file is from its bytes alone: format, size in pixels, and whether its structure is whole. Decodes no
/// pixel, allocates nothing in proportion to the file, and answers every input, however hostile, with a value.
/// </summary>
internal static class ImageSniffer
{
    /// <summary>Bytes from the beginning that <see cref="FormatOf"/> needs.</summary>
    public const int HeaderBytes = 64;

    private const string Taken = "PNG, JPEG, GIF, WebP or AVIF";

    /// <param name="file">The whole file.</param>
    /// <param name="limits">Chosen by the operator, within the contract's.</param>
    public static ImageVerdict Inspect(ReadOnlySpan<byte> file, ImageLimits limits)
    {
        if (file.IsEmpty)
            return new ImageRefusal("is empty");
        if (file.Length > limits.Bytes)
            return new ImageRefusal($"is larger than {limits.Bytes} bytes");

        var verdict = FormatOf(file) switch
        {
            var format when format == ImageFormat.Png => PngHeader.Read(file),
            var format when format == ImageFormat.Jpeg => JpegHeader.Read(file),
            var format when format == ImageFormat.Gif => GifHeader.Read(file),
            var format when format == ImageFormat.Webp => WebpHeader.Read(file),
            var format when format == ImageFormat.Avif => AvifHeader.Read(file),
            _ => new ImageRefusal($"is {Guess(file)}, not {Taken}"),
        };

        return verdict is ImageFacts facts && !Fits(facts, limits)
            ? new ImageRefusal($"is a {facts.Format.Name} of {Size(facts)}, more than {limits.Pixels} pixels in all")
            : verdict;
    }

    /// <summary>The format that the first bytes announce; null for none that is taken.</summary>
    public static ImageFormat? FormatOf(ReadOnlySpan<byte> header)
    {
        if (header.StartsWith(PngHeader.Signature))
            return ImageFormat.Png;
        if (header.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]))
            return ImageFormat.Jpeg;
        if (header.StartsWith("GIF87a"u8) || header.StartsWith("GIF89a"u8))
            return ImageFormat.Gif;
        if (header.Length >= 12 && header.StartsWith("RIFF"u8) && header[8..].StartsWith("WEBP"u8))
            return ImageFormat.Webp;
        return AvifHeader.IsAvif(header) ? ImageFormat.Avif : null;
    }

    private static bool Fits(ImageFacts facts, ImageLimits limits)
    {
        var canvas = (long)facts.Width * facts.Height; // Both are below 2^31, so this cannot overflow; frames could.
        return canvas <= limits.Pixels && canvas * facts.Frames <= limits.Pixels && facts.Decoded <= limits.Pixels;
    }

    private static string Size(ImageFacts facts) =>
        $"{facts.Width}×{facts.Height}"
        + (facts.Frames == 1 ? "" : $" in {facts.Frames} frames")
        + (facts.Decoded <= (long)facts.Width * facts.Height ? "" : $" with images of {facts.Decoded} pixels inside");

    // Only to help the sender; nothing is decided by it.
    private static string Guess(ReadOnlySpan<byte> file)
    {
        var start = file[..Math.Min(file.Length, 512)];
        if (start.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
            start = start[3..];
        start = start.TrimStart(" \t\r\n"u8);

        if (start.IndexOf("<svg"u8) >= 0)
            return "an SVG, which can carry scripts";
        if (start.StartsWith("<"u8))
            return "HTML or XML";
        if (start.StartsWith("%PDF"u8))
            return "a PDF";
        return start.IndexOfAnyInRange((byte)0, (byte)8) < 0 ? "text" : "something else";
    }
}
