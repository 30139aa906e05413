using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>What can be wrong with a key. The names are kept in findings, and people rely on them.</summary>
internal static class FindingKinds
{
    /// <summary>A picture's object is not in the bucket.</summary>
    public const string PictureWithoutObject = "picture-without-object";

    /// <summary>A URL was handed out for a picture whose object is not in the bucket.</summary>
    public const string UrlWithoutObject = "url-without-object";

    /// <summary>The object has another size than its picture says.</summary>
    public const string SizeDiffers = "size-differs";

    /// <summary>The object's bytes have another hash than its picture says.</summary>
    public const string HashDiffers = "hash-differs";

    /// <summary>An object below <c>projects/</c> that no picture has.</summary>
    public const string ObjectWithoutPicture = "object-without-picture";

    /// <summary>The catalogue lists what is not in the bucket.</summary>
    public const string EntryWithoutObject = "entry-without-object";

    /// <summary>The catalogue does not list the object.</summary>
    public const string ObjectWithoutEntry = "object-without-entry";

    /// <summary>The catalogue's size or ETag is not the object's.</summary>
    public const string EntryDiffers = "entry-differs";
}

/// <summary>One thing that does not agree.</summary>
/// <param name="Kind">One of <see cref="FindingKinds"/>.</param>
/// <param name="Key">The object.</param>
/// <param name="Picture">The picture that it is about; null where there is none.</param>
/// <param name="Detail">For people.</param>
internal sealed record Finding(string Kind, string Key, KnownPicture? Picture, string Detail);

/// <summary>A picture's row.</summary>
/// <param name="IsExpected">It says that its object is in the bucket, and has said so since before the cutoff.</param>
/// <param name="Urls">URLs that are handed out for it.</param>
internal sealed record KnownPicture(
    Guid ImageId,
    Guid ProjectId,
    long ByteLength,
    string Sha256,
    bool IsExpected,
    long Urls
);

/// <summary>The catalogue's entry.</summary>
/// <param name="IsSettled">It is older than the cutoff.</param>
internal sealed record KnownEntry(long Size, string ETag, bool IsSettled);

/// <summary>All that is known of one key.</summary>
/// <param name="Key">The key.</param>
/// <param name="Object">As the bucket has it; null where it has none.</param>
/// <param name="Picture">Null where no row names the key.</param>
/// <param name="Entry">Null where the catalogue has none.</param>
/// <param name="IsClaimed">The object is about to become a picture's, or is being purged.</param>
internal sealed record KeyState(
    string Key,
    StoredObject? Object,
    KnownPicture? Picture,
    KnownEntry? Entry,
    bool IsClaimed = false
)
{
    /// <summary>What does not agree. An object younger than the cutoff is in flight, and so is a row.</summary>
    public IEnumerable<Finding> Compare(DateTimeOffset cutoff)
    {
        if (Object is null)
            return WithoutObject();
        return Object.LastModified < cutoff ? WithObject(Object) : [];
    }

    private IEnumerable<Finding> WithoutObject()
    {
        if (Picture is { IsExpected: true })
        {
            yield return Found(FindingKinds.PictureWithoutObject, "The picture's object is not in the bucket.");
            if (Picture.Urls > 0)
                yield return Found(FindingKinds.UrlWithoutObject, $"{Picture.Urls} URLs lead to a missing object.");
        }

        if (Entry is { IsSettled: true })
            yield return Found(
                FindingKinds.EntryWithoutObject,
                "The catalogue lists an object that is not in the bucket."
            );
    }

    private IEnumerable<Finding> WithObject(StoredObject stored)
    {
        if (Picture is null && Key.StartsWith(ObjectKeys.ImagesPrefix, StringComparison.Ordinal))
        {
            // Its entry, there or not, goes with it.
            if (IsClaimed)
                yield break;
            yield return Found(
                FindingKinds.ObjectWithoutPicture,
                $"No picture has this object of {stored.Size} bytes."
            );
            yield break;
        }

        if (Picture is { IsExpected: true } && Picture.ByteLength != stored.Size)
            yield return Found(
                FindingKinds.SizeDiffers,
                $"The object has {stored.Size} bytes, its picture says {Picture.ByteLength}."
            );
        if (Entry is null && !IsPassing)
            yield return Found(FindingKinds.ObjectWithoutEntry, "The catalogue does not list this object.");
        else if (Entry is { IsSettled: true } && (Entry.Size, Entry.ETag) != (stored.Size, stored.ETag))
            yield return Found(
                FindingKinds.EntryDiffers,
                $"The object has {stored.Size} bytes and ETag {stored.ETag}, the catalogue says {Entry.Size} and {Entry.ETag}."
            );
    }

    // Uploads and renderings come and go; the sweep of uploads looks after them.
    private bool IsPassing =>
        Key.StartsWith(ObjectKeys.UploadsPrefix, StringComparison.Ordinal)
        || Key.StartsWith(ObjectKeys.GeneratedPrefix, StringComparison.Ordinal);

    private Finding Found(string kind, string detail) => new(kind, Key, Picture, detail);
}
