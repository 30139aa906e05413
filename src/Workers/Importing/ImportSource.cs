using Pipeline.Contracts.Importing;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>Gets the bytes that an import names, from a URL or from where the publisher has put them.</summary>
internal sealed class ImportSource(SourceFetcher fetcher, IImageStore store, ImportingOptions options)
{
    /// <param name="command">Has passed <see cref="ImportRules"/>.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="SourceUnavailableException">Worth a retry.</exception>
    /// <exception cref="StorageUnavailableException">Worth a retry.</exception>
    public Task<SourceResult> ReadAsync(ImportImage command, CancellationToken cancellation) =>
        command.UploadKey is { } key
            ? ReadUploadAsync(key, cancellation)
            : fetcher.FetchAsync(new Uri(command.SourceUrl ?? "", UriKind.Absolute), cancellation);

    private async Task<SourceResult> ReadUploadAsync(string key, CancellationToken cancellation)
    {
        var head = await store.HeadAsync(key, cancellation);
        if (head?.Size > options.SizeLimitBytes)
            return TooLarge();

        await using var stream = head is null ? null : await store.OpenReadAsync(key, cancellation);
        if (stream is null)
            return new SourceRefusal(
                "uploadKey: there is no such upload; put the file there before sending the command."
            );

        try
        {
            return
                await BoundedReader.ReadAsync(stream, head?.Size, options.SizeLimitBytes, cancellation) is { } content
                ? new SourceBytes(content)
                : TooLarge();
        }
        catch (Exception e) when (e is IOException or HttpRequestException || IsTimeout(e, cancellation))
        {
            throw new StorageUnavailableException($"Reading {key} broke off: {e.Message}", e);
        }
    }

    private static bool IsTimeout(Exception e, CancellationToken cancellation) =>
        e is OperationCanceledException && !cancellation.IsCancellationRequested;

    private SourceRefusal TooLarge() => new($"uploadKey: the file is larger than {options.SizeLimitBytes} bytes.");
}
