using Microsoft.Extensions.Options;
using Pipeline.Formats;
using Pipeline.Workers.Fetching;

namespace Pipeline.Workers.Importing;

/// <summary>Bounds of an import. Section <c>Importing</c>.</summary>
internal sealed class ImportingOptions : IValidateOptions<ImportingOptions>
{
    public const string Section = "Importing";

    /// <summary>Largest file taken, in bytes; the contract's 25 MiB or less.</summary>
    public int SizeLimitBytes { get; init; } = ImageLimits.BytesMax;

    /// <summary>Most pixels taken, over all frames; the contract's 50 million or less.</summary>
    public long PixelLimit { get; init; } = ImageLimits.PixelsMax;

    /// <summary>How long one fetch may take, redirects and body included. 0.1 seconds to 10 minutes.</summary>
    public TimeSpan FetchTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long connecting may take. 0.1 seconds to <see cref="FetchTimeout"/>.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>True lets a command reach servers inside this network: only where every sender is trusted.</summary>
    public bool AllowPrivateNetworks { get; init; }

    /// <summary>Imports at once in this process; each may hold a file of <see cref="SizeLimitBytes"/> in memory. 1 to 64.</summary>
    public int ConcurrentImports { get; init; } = 4;

    /// <summary>Redirects followed for one fetch. 0 to 20.</summary>
    public int RedirectLimit { get; init; } = 5;

    /// <summary>Tries after the first one, for what may pass by itself. 0 to 10.</summary>
    public int Retries { get; init; } = 3;

    /// <summary>Pause before the first retry; each further one is that much longer. Up to 1 minute.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    public FetchLimits FetchLimits =>
        new(SizeLimitBytes, FetchTimeout, ConnectTimeout, RedirectLimit, ConcurrentImports, AllowPrivateNetworks);

    public ImageLimits ImageLimits => new(SizeLimitBytes, PixelLimit);

    public ValidateOptionsResult Validate(string? name, ImportingOptions options)
    {
        var problems = options.Problems().ToList();
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private IEnumerable<string> Problems()
    {
        var moment = TimeSpan.FromMilliseconds(100);
        if (SizeLimitBytes is < 1 or > ImageLimits.BytesMax)
            yield return $"Importing:SizeLimitBytes must be 1 to {ImageLimits.BytesMax}.";
        if (PixelLimit is < 1 or > ImageLimits.PixelsMax)
            yield return $"Importing:PixelLimit must be 1 to {ImageLimits.PixelsMax}.";
        if (FetchTimeout < moment || FetchTimeout > TimeSpan.FromMinutes(10))
            yield return "Importing:FetchTimeout must be 0.1 seconds to 10 minutes.";
        if (ConnectTimeout < moment || ConnectTimeout > FetchTimeout)
            yield return "Importing:ConnectTimeout must be 0.1 seconds to Importing:FetchTimeout.";
        if (ConcurrentImports is < 1 or > 64)
            yield return "Importing:ConcurrentImports must be 1 to 64.";
        if (RedirectLimit is < 0 or > 20)
            yield return "Importing:RedirectLimit must be 0 to 20.";
        if (Retries is < 0 or > 10)
            yield return "Importing:Retries must be 0 to 10.";
        if (RetryDelay < TimeSpan.Zero || RetryDelay > TimeSpan.FromMinutes(1))
            yield return "Importing:RetryDelay must be 0 to 1 minute.";
    }
}
