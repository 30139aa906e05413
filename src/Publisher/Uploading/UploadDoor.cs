using Pipeline.Formats;

namespace Pipeline.Publisher.Uploading;

/// <summary>Looks at each file before anything of it is stored. The workers' import looks again, and decides.</summary>
internal sealed class UploadDoor(UploadLimits limits)
{
    private readonly ImageLimits _images = new(limits.SizeLimitBytes, limits.PixelLimit);

    /// <param name="content">Read to its end, or until it is refused.</param>
    /// <param name="cancellation">Nothing stays behind.</param>
    public async Task<DoorVerdict> CheckAsync(Stream content, CancellationToken cancellation)
    {
        var (file, refusal) = await SpooledFile.ReadAsync(
            content,
            limits.SizeLimitBytes,
            RefuseBeginning,
            cancellation
        );
        if (file is null)
            return new RefusedFile($"the file {refusal}");

        var verdict = file.Inspect(_images);
        if (verdict is ImageFacts facts)
            return new CheckedFile(file, facts);

        file.Dispose();
        return new RefusedFile($"the file {((ImageRefusal)verdict).Reason}");
    }

    // What announces no format that is taken need not be read to its end.
    private string? RefuseBeginning(ReadOnlyMemory<byte> first) =>
        ImageSniffer.FormatOf(first.Span) is null && ImageSniffer.Inspect(first.Span, _images) is ImageRefusal refusal
            ? refusal.Reason
            : null;
}

/// <summary>What the door says: <see cref="CheckedFile"/> or <see cref="RefusedFile"/>.</summary>
internal abstract record DoorVerdict;

/// <summary>A whole picture within the limits.</summary>
/// <param name="File">To be disposed by the caller.</param>
/// <param name="Facts">Read from its bytes.</param>
internal sealed record CheckedFile(SpooledFile File, ImageFacts Facts) : DoorVerdict;

/// <summary>Nothing of it is kept.</summary>
/// <param name="Reason">For the sender, such as <c>the file is text, not PNG, JPEG, GIF, WebP or AVIF</c>.</param>
internal sealed record RefusedFile(string Reason) : DoorVerdict;
