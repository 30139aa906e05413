using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
using Pipeline.Formats;

namespace Pipeline.Publisher.Uploading;

/// <summary>
/// A file on its way in, kept in the folder for temporary files until it is checked and stored, so that memory does not
/// grow with it. It has no name there: whatever becomes of the process, the disk gets its room back.
/// </summary>
internal sealed class SpooledFile : IDisposable
{
    private const int BufferBytes = 64 * 1024;

    private readonly FileStream _file;

    private SpooledFile(FileStream file, string sha256)
    {
        _file = file;
        Sha256 = sha256;
        Length = file.Length;
    }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <summary>Of the bytes, 64 lower-case hexadecimal digits.</summary>
    public string Sha256 { get; }

    /// <summary>Reads a stream to its end, hashing it on the way.</summary>
    /// <param name="content">Not disposed.</param>
    /// <param name="limit">Bytes at most; what is longer is read no further.</param>
    /// <param name="begins">
    /// Called with the first bytes, before the rest is read; an answer other than null ends the reading.
    /// </param>
    /// <param name="cancellation">Nothing stays behind.</param>
    /// <returns>The file, or why it is refused.</returns>
    public static async Task<(SpooledFile? File, string? Refusal)> ReadAsync(
        Stream content,
        int limit,
        Func<ReadOnlyMemory<byte>, string?> begins,
        CancellationToken cancellation
    )
    {
        FileStream? file = Create();
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            var buffer = new byte[BufferBytes];
            for (var isFirst = true; ; isFirst = false)
            {
                var count = await content.ReadAtLeastAsync(
                    buffer,
                    BufferBytes,
                    throwOnEndOfStream: false,
                    cancellation
                );
                if (isFirst && begins(buffer.AsMemory(0, count)) is { } refusal)
                    return (null, refusal);
                if (file.Position + count > limit)
                    return (null, $"is larger than {limit} bytes");

                hash.AppendData(buffer, 0, count);
                await WriteAsync(file, buffer.AsMemory(0, count), cancellation);
                if (count == buffer.Length)
                    continue;

                var spooled = new SpooledFile(file, Convert.ToHexStringLower(hash.GetHashAndReset()));
                file = null;
                return (spooled, null);
            }
        }
        finally
        {
            if (file is not null)
                await file.DisposeAsync();
        }
    }

    /// <summary>Looks at the whole file through a mapping: only the pages that are looked at come into memory.</summary>
    public unsafe ImageVerdict Inspect(ImageLimits limits)
    {
        if (Length == 0)
            return ImageSniffer.Inspect([], limits); // An empty file cannot be mapped.

        using var map = MemoryMappedFile.CreateFromFile(
            _file,
            mapName: null,
            capacity: 0,
            MemoryMappedFileAccess.Read,
            HandleInheritability.None,
            leaveOpen: true
        );
        using var view = map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
        byte* first = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref first);
        try
        {
            return ImageSniffer.Inspect(new ReadOnlySpan<byte>(first + view.PointerOffset, (int)Length), limits);
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }

    /// <summary>The bytes from the first one on; the stream belongs to this object.</summary>
    public Stream Rewind()
    {
        _file.Position = 0;
        return _file;
    }

    public void Dispose() => _file.Dispose();

    private static async Task WriteAsync(FileStream file, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        try
        {
            await file.WriteAsync(bytes, cancellation);
        }
        catch (IOException e)
        {
            throw new SpoolException(e);
        }
    }

    private static FileStream Create()
    {
        var path = Path.Combine(Path.GetTempPath(), $"pipeline-upload-{Guid.NewGuid():N}");
        try
        {
            var file = new FileStream(
                path,
                new FileStreamOptions
                {
                    Mode = FileMode.CreateNew,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.None,
                    BufferSize = 0, // What is written is there for the mapping at once.
                    Options = FileOptions.DeleteOnClose,
                }
            );
            if (!OperatingSystem.IsWindows())
                File.Delete(path); // The open handle keeps the bytes.
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SpoolException(e);
        }
    }
}

/// <summary>The folder for temporary files takes no more. Worth another try when there is room.</summary>
internal sealed class SpoolException(Exception inner)
    : Exception($"The folder for temporary files ({Path.GetTempPath()}) takes no upload: {inner.Message}", inner);
