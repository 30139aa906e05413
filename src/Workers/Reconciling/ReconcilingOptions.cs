using Microsoft.Extensions.Options;

namespace Pipeline.Workers.Reconciling;

/// <summary>How stores are compared. Section <c>Reconciling</c>.</summary>
internal sealed class ReconcilingOptions : IValidateOptions<ReconcilingOptions>
{
    public const string Section = "Reconciling";

    public static readonly TimeSpan GraceMax = TimeSpan.FromDays(365);

    private static readonly TimeSpan LeaseMin = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LeaseMax = TimeSpan.FromMinutes(10);

    /// <summary>What was written later than so long before the start is in flight; 0 to 365 days. A command may say otherwise.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How soon the work of a dead worker is taken over; 1 second to 10 minutes. Renewed with every batch.</summary>
    public TimeSpan LeaseLength { get; init; } = TimeSpan.FromSeconds(30);

    public ValidateOptionsResult Validate(string? name, ReconcilingOptions options)
    {
        if (options.Grace < TimeSpan.Zero || options.Grace > GraceMax)
            return ValidateOptionsResult.Fail($"{Section}:Grace must be 0 to {GraceMax.Days} days.");
        return options.LeaseLength < LeaseMin || options.LeaseLength > LeaseMax
            ? ValidateOptionsResult.Fail($"{Section}:LeaseLength must be 1 second to 10 minutes.")
            : ValidateOptionsResult.Success;
    }
}
