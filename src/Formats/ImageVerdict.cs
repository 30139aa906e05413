namespace Pipeline.Formats;

/// <summary>What looking at some bytes has shown: <see cref="ImageFacts"/> or an <see cref="ImageRefusal"/>.</summary>
internal abstract record ImageVerdict;

/// <summary>The bytes are a picture, whole as far as its structure tells. Its pixels have not been decoded.</summary>
/// <param name="Format">By its content, whatever name or type it came with.</param>
/// <param name="Width">Pixels of the canvas, at least 1.</param>
/// <param name="Height">Pixels of the canvas, at least 1.</param>
/// <param name="Frames">1, or more for an animation.</param>
internal sealed record ImageFacts(ImageFormat Format, int Width, int Height, int Frames = 1) : ImageVerdict
{
    /// <summary>Pixels that decoders may make room for, where they can be more than those of all frames.</summary>
    public long Decoded { get; init; } = (long)Width * Height;
}

/// <summary>The bytes are no picture that the pipeline takes.</summary>
/// <param name="Reason">One phrase for the sender, such as <c>is a PNG that ends too early</c>; the subject is the caller's.</param>
internal sealed record ImageRefusal(string Reason) : ImageVerdict;

/// <summary>A format that browsers show and the pipeline takes.</summary>
/// <param name="Name">For people.</param>
/// <param name="ContentType">IANA media type.</param>
/// <param name="Extension">As in object keys, without the dot.</param>
internal sealed record ImageFormat(string Name, string ContentType, string Extension)
{
    public static readonly ImageFormat Png = new("PNG", "image/png", "png");
    public static readonly ImageFormat Jpeg = new("JPEG", "image/jpeg", "jpg");
    public static readonly ImageFormat Gif = new("GIF", "image/gif", "gif");
    public static readonly ImageFormat Webp = new("WebP", "image/webp", "webp");
    public static readonly ImageFormat Avif = new("AVIF", "image/avif", "avif");
}

/// <summary>How large a picture may be. Both limits are what other image services take (imgproxy, Supabase).</summary>
/// <param name="Bytes">Of the file.</param>
/// <param name="Pixels">Of all frames together, since a viewer may hold them all.</param>
internal sealed record ImageLimits(int Bytes = ImageLimits.BytesMax, long Pixels = ImageLimits.PixelsMax)
{
    /// <summary>25 MiB, which the contract of <c>SaveImage</c> fixes.</summary>
    public const int BytesMax = 25 * 1_024 * 1_024;

    /// <summary>50 MP, which the contract of <c>SaveImage</c> fixes.</summary>
    public const long PixelsMax = 50_000_000;
}
