using System.Text.Json;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>A row of <c>status.catalog</c>.</summary>
/// <param name="ContentType">Null until the object was looked at by itself.</param>
internal sealed record EntryRow(
    string Key,
    long Size,
    string ETag,
    string? ContentType,
    DateTimeOffset LastModified,
    DateTimeOffset FirstSeen,
    DateTimeOffset ChangedAt
);

/// <summary>The row of <c>status.catalog_statistics</c>.</summary>
/// <param name="ByPrefix"><c>[{"prefix","objects","bytes"}]</c>, the most objects first.</param>
/// <param name="ByType"><c>[{"contentType","objects","bytes"}]</c>, likewise.</param>
internal sealed record CatalogStatistics(
    long Objects,
    long Bytes,
    JsonElement ByPrefix,
    JsonElement ByType,
    DateTimeOffset? NewestAt,
    Guid? LastRebuildId,
    DateTimeOffset? LastRebuildStartedAt,
    DateTimeOffset? LastRebuiltAt
);

/// <summary>A row of <c>status.catalog_rebuilds</c>.</summary>
/// <param name="State"><c>Listing</c>, <c>Sweeping</c>, <c>Completed</c>, <c>Abandoned</c> or <c>Cancelled</c>.</param>
/// <param name="EstimatedEnd">Null where nothing is known to go by, and once it has ended.</param>
internal sealed record RebuildRow(
    Guid Id,
    string Bucket,
    string State,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt,
    long ExpectedKeys,
    int Partitions,
    int PartitionsListed,
    long Pages,
    long Keys,
    long Removed,
    double KeysPerSecond,
    DateTimeOffset? EstimatedEnd,
    DateTimeOffset? WaitingSince,
    string? WaitReason,
    string? FailureReason,
    long Requests
)
{
    /// <summary>How it stands, on one line.</summary>
    public string Progress =>
        $"{State.ToLowerInvariant()}: {Keys} keys on {Pages} pages, {KeysPerSecond:F0}/s, "
        + $"{PartitionsListed}/{Partitions} parts"
        + (Removed > 0 ? $", {Removed} removed" : "")
        + (EstimatedEnd is { } end ? $", about until {end:HH:mm:ss}Z" : "")
        + (WaitReason is { } reason ? $"; waits since {WaitingSince:HH:mm:ss}Z: {reason}" : "");
}
