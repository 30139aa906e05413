using System.Text.Json;

namespace Pipeline.Publisher.Urls;

/// <summary>A step that did not give what was wanted.</summary>
internal sealed record FailedStep(string Step, string Code, string Reason);

/// <summary>A row of <c>status.image_urls</c>, or a URL that was signed here because there was none.</summary>
/// <param name="Link">The stable path of this program, for documents.</param>
/// <param name="Due">Its refresh window is open; it works until it expires.</param>
/// <param name="Steps">The steps that were tried before its own.</param>
internal sealed record UrlRow(
    string Variant,
    string Url,
    string Link,
    string Strategy,
    bool Degraded,
    bool Due,
    DateTimeOffset SignedAt,
    DateTimeOffset RefreshAfter,
    DateTimeOffset ExpiresAt,
    IReadOnlyList<FailedStep> Steps
)
{
    private static readonly JsonSerializerOptions Reading = new(JsonSerializerDefaults.Web);

    public static IReadOnlyList<FailedStep> ReadSteps(string json) =>
        JsonSerializer.Deserialize<List<FailedStep>>(json, Reading) ?? [];
}

/// <summary>A shown picture with its URLs, as the database had them at one moment.</summary>
/// <param name="ObjectKey">The original, for signing here.</param>
/// <param name="UpdatedAt">When its row last changed.</param>
/// <param name="SignedAt">When its URLs of this version were last signed, those that have ended included; null if never.</param>
/// <param name="RefreshAfter">When the first of them is due.</param>
/// <param name="Failures">Failed signings since the last success.</param>
/// <param name="FailureReason">Of the last one.</param>
/// <param name="NextTryAt">When the workers look at it again.</param>
/// <param name="ReadAt">The database's time of reading.</param>
/// <param name="Urls">Those that may be handed out, by variant.</param>
internal sealed record PictureUrls(
    Guid ImageId,
    Guid ProjectId,
    int Version,
    string ObjectKey,
    DateTimeOffset UpdatedAt,
    DateTimeOffset? SignedAt,
    DateTimeOffset? RefreshAfter,
    int Failures,
    string? FailureReason,
    DateTimeOffset? NextTryAt,
    DateTimeOffset ReadAt,
    IReadOnlyDictionary<string, UrlRow> Urls
);

/// <summary>The row of <c>status.url_health</c>.</summary>
internal sealed record UrlHealthRow(
    long Images,
    long Unsigned,
    long Urls,
    long Degraded,
    long Expired,
    long Failing,
    long Overdue,
    long OldestOverdueSeconds,
    long SucceededLastDay,
    long FailedLastDay
);

/// <summary>Rows of <c>status.url_steps</c> of the last day, added up.</summary>
/// <param name="Reason">The code of the failure; empty for a success.</param>
internal sealed record UrlStepRow(string Step, string Reason, long Count);

/// <summary>A row of <c>status.url_variants</c>.</summary>
internal sealed record UrlVariantRow(string Name, string Chain);
