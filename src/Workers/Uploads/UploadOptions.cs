using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Uploads;

/// <summary>When leftovers of uploads are cleared away. Section <c>Uploads</c>.</summary>
internal sealed class UploadOptions : IValidateOptions<UploadOptions>
{
    public const string Section = "Uploads";

    private static readonly TimeSpan GraceMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan GraceMax = TimeSpan.FromDays(365);

    /// <summary>
    /// How old an upload is before it counts as abandoned; 1 second to 365 days. Longer than the publisher's
    /// <c>Uploads__ConfirmWithin</c>, or confirmed uploads may be cleared away.
    /// </summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromHours(24);

    /// <summary>How often leftovers are looked for; 0.1 seconds to 1 day.</summary>
    public TimeSpan SweepEvery { get; init; } = TimeSpan.FromMinutes(10);

    public ValidateOptionsResult Validate(string? name, UploadOptions options)
    {
        if (options.Grace < GraceMin || options.Grace > GraceMax)
            return ValidateOptionsResult.Fail($"{Section}:Grace must be 1 second to {GraceMax.Days} days.");
        return options.SweepEvery < TimeSpan.FromMilliseconds(100) || options.SweepEvery > TimeSpan.FromDays(1)
            ? ValidateOptionsResult.Fail($"{Section}:SweepEvery must be 0.1 seconds to 1 day.")
            : ValidateOptionsResult.Success;
    }
}
