using Microsoft.Extensions.Options;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Settings of the catalogue. Section <c>Cataloguing</c>.</summary>
internal sealed class CataloguingOptions : IValidateOptions<CataloguingOptions>
{
    public const string Section = "Cataloguing";

    /// <summary>Objects looked at at once in this process, for commands and as many for events. 1 to 256.</summary>
    public int ConcurrentChecks { get; init; } = 16;

    /// <summary>Pages listed at once in this process. 1 to 64.</summary>
    public int ConcurrentPages { get; init; } = 4;

    /// <summary>Keys in one page of a rebuild. 1 to 1,000, which is S3's own limit.</summary>
    public int PageSize { get; init; } = IImageStore.PageSize;

    /// <summary>Parts that a rebuild lists side by side, where the bucket has more than one page. 1 to 256.</summary>
    public int PartCount { get; init; } = 16;

    /// <summary>Entries looked at in one statement of the final sweep. 100 to 100,000.</summary>
    public int SweepBatch { get; init; } = 10_000;

    /// <summary>Pause before a page is tried again that the store did not answer; doubled each time. Positive.</summary>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest such pause. At least <see cref="BackoffFirst"/>.</summary>
    public TimeSpan BackoffLimit { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long the store may not answer before the rebuild ends as failed. Positive.</summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromHours(1);

    /// <summary>A page that nothing has been heard of for so long is sent again. At least 1 second.</summary>
    public TimeSpan StaleAfter { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long the entry of an object that is gone is remembered. 1 minute or more.</summary>
    public TimeSpan GoneFor { get; init; } = TimeSpan.FromDays(1);

    /// <summary>How often due pages are looked for, tallies added up and old entries dropped. Positive.</summary>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromSeconds(1);

    public ValidateOptionsResult Validate(string? name, CataloguingOptions options)
    {
        var problems = options.Problems().ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems()
    {
        if (ConcurrentChecks is < 1 or > 256)
            yield return "Cataloguing:ConcurrentChecks must be 1 to 256.";
        if (ConcurrentPages is < 1 or > 64)
            yield return "Cataloguing:ConcurrentPages must be 1 to 64.";
        if (PageSize is < 1 or > IImageStore.PageSize)
            yield return $"Cataloguing:PageSize must be 1 to {IImageStore.PageSize}.";
        if (PartCount is < 1 or > 256)
            yield return "Cataloguing:PartCount must be 1 to 256.";
        if (SweepBatch is < 100 or > 100_000)
            yield return "Cataloguing:SweepBatch must be 100 to 100,000.";
        if (BackoffFirst <= TimeSpan.Zero || BackoffLimit < BackoffFirst)
            yield return "Cataloguing:BackoffLimit must be at least BackoffFirst, above zero.";
        if (GiveUpAfter <= TimeSpan.Zero || SweepEvery <= TimeSpan.Zero)
            yield return "Cataloguing:GiveUpAfter and SweepEvery must be positive.";
        if (StaleAfter < TimeSpan.FromSeconds(1))
            yield return "Cataloguing:StaleAfter must be at least 1 second.";
        if (GoneFor < TimeSpan.FromMinutes(1))
            yield return "Cataloguing:GoneFor must be at least 1 minute.";
    }
}
