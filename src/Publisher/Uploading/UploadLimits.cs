namespace Pipeline.Publisher.Uploading;

/// <summary>What an upload may be. Settings <c>Uploads__…</c>; the workers' import has limits of its own and decides.</summary>
/// <param name="SizeLimitBytes">Of one file; 1 to 26,214,400.</param>
/// <param name="PixelLimit">Over all frames of one file; 1 to 50,000,000.</param>
/// <param name="FilesPerRequest">1 to 100.</param>
/// <param name="RequestTimeout">How long one request may take to come in; 1 second to 1 hour.</param>
/// <param name="UrlLifetime">How long a presigned URL takes the file; 1 minute to 12 hours.</param>
/// <param name="ConfirmWithin">
/// How long after the file came it may be confirmed; 1 minute to 7 days. What is older counts as abandoned.
/// </param>
internal sealed record UploadLimits(
    int SizeLimitBytes,
    long PixelLimit,
    int FilesPerRequest,
    TimeSpan RequestTimeout,
    TimeSpan UrlLifetime,
    TimeSpan ConfirmWithin
)
{
    // Headers, boundaries and fields of each part; the reader allows 16 KiB of headers.
    private const int PartOverheadBytes = 32 * 1024;

    /// <summary>Largest body of a request with files. A larger one is refused by its announced length, before it comes.</summary>
    public long RequestLimitBytes => FilesPerRequest * ((long)SizeLimitBytes + PartOverheadBytes);
}
