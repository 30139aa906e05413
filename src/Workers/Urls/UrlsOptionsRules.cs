using System.Text.RegularExpressions;

namespace Pipeline.Workers.Urls;

/// <content>The ranges; a setting out of its own keeps the process from starting, before any server is called.</content>
internal sealed partial class UrlsOptions
{
    private const int VariantLimit = 20;
    private const int EdgeLimit = 2_500;
    private static readonly string[] AlwaysThere = ["image", "thumbnail"];
    private static readonly string[] KnownSteps = ["imgproxy", "supabase", "s3", "public", "placeholder"];

    /// <summary>The variants with those that are always there.</summary>
    public IReadOnlyDictionary<string, VariantOptions> AllVariants =>
        AlwaysThere
            .Except(Variants.Keys, StringComparer.Ordinal)
            .Select(x => KeyValuePair.Create(x, new VariantOptions()))
            .Concat(Variants)
            .OrderBy(x => x.Key, StringComparer.Ordinal)
            .ToDictionary(StringComparer.Ordinal);

    /// <exception cref="InvalidOperationException">Names the first setting that cannot be right.</exception>
    public void Validate()
    {
        var day = TimeSpan.FromDays(1);
        Range(nameof(Lifetime), Lifetime, LifetimeMin, 7 * day);
        Range(nameof(DegradedRetry), DegradedRetry, TimeSpan.FromSeconds(1), day);
        Range(nameof(BackoffFirst), BackoffFirst, TimeSpan.FromMilliseconds(1), day);
        Range(nameof(BackoffLimit), BackoffLimit, BackoffFirst, day);
        Range(nameof(SweepEvery), SweepEvery, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1));
        Range(nameof(ClaimLength), ClaimLength, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(5));
        Range(nameof(CallTimeout), CallTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1));
        Range(nameof(RestLength), RestLength, TimeSpan.FromMilliseconds(500), TimeSpan.FromHours(1));
        Require(CallTimeout < ClaimLength / 2, nameof(CallTimeout), "must be less than half of Urls__ClaimLength");
        Require(
            RefreshAhead > TimeSpan.Zero && RefreshAhead < Lifetime,
            nameof(RefreshAhead),
            "must be above zero and less than Urls__Lifetime"
        );
        Require(ConcurrentCalls is >= 1 and <= 64, nameof(ConcurrentCalls), "must be 1 to 64");
        Require(AllVariants.Count <= VariantLimit, nameof(Variants), $"must name at most {VariantLimit}");
        foreach (var (name, variant) in Variants)
            Validate(name, variant);
        var steps = AllVariants.Values.SelectMany(x => x.Steps).ToHashSet(StringComparer.Ordinal);
        ValidateServers(steps);
    }

    private static void Validate(string name, VariantOptions variant)
    {
        var at = $"{nameof(Variants)}__{name}";
        Require(VariantName().IsMatch(name), at, "must be called with 1 to 40 lower-case letters, digits and hyphens");
        Require(variant.Steps.Length > 0, $"{at}__Chain", "must name at least one step");
        foreach (var step in variant.Steps)
            Require(
                KnownSteps.Contains(step, StringComparer.Ordinal),
                $"{at}__Chain",
                $"names '{step}'; it may have {string.Join(", ", KnownSteps)}"
            );
        Require(
            variant.Steps.Distinct(StringComparer.Ordinal).Count() == variant.Steps.Length,
            $"{at}__Chain",
            "names a step twice"
        );
        foreach (var (edge, pixels) in new[] { ("Width", variant.Width), ("Height", variant.Height) })
            Require(pixels is null or (>= 1 and <= EdgeLimit), $"{at}__{edge}", $"must be 1 to {EdgeLimit}");
        Require(variant.Quality is null or (>= 20 and <= 100), $"{at}__Quality", "must be 20 to 100");
        Require(
            VariantOptions.Resizes.Split(", ").Contains(variant.Resize, StringComparer.Ordinal),
            $"{at}__Resize",
            $"is '{variant.Resize}'; it may be {VariantOptions.Resizes}"
        );
        Require(
            Formats.All.Contains(variant.Format, StringComparer.Ordinal),
            $"{at}__Format",
            $"is '{variant.Format}'; it may be {string.Join(", ", Formats.All)}"
        );
    }

    private void ValidateServers(HashSet<string> steps)
    {
        if (steps.Contains("imgproxy"))
        {
            RequireWeb("Imgproxy__Url", Imgproxy.Url);
            Require(IsHex(Imgproxy.Key), "Imgproxy__Key", "must be hexadecimal and not empty");
            Require(IsHex(Imgproxy.Salt), "Imgproxy__Salt", "must be hexadecimal and not empty");
            Require(Imgproxy.Source.Contains("{key}", StringComparison.Ordinal), "Imgproxy__Source", "must have {key}");
        }

        if (steps.Contains("supabase"))
        {
            RequireWeb("Supabase__Url", Supabase.Url);
            Require(Supabase.Key.Length > 0, "Supabase__Key", "is not set");
        }

        if (steps.Contains("public"))
            RequireWeb(nameof(PublicBaseUrl), PublicBaseUrl);
        if (steps.Contains("placeholder"))
            RequireWeb(nameof(PlaceholderUrl), PlaceholderUrl);
    }

    private static bool IsHex(string text) => text.Length > 0 && text.Length % 2 == 0 && text.All(char.IsAsciiHexDigit);

    private static void RequireWeb(string name, Uri? url) =>
        Require(
            url is { IsAbsoluteUri: true, Scheme: "http" or "https", UserInfo: "", Fragment: "" },
            name,
            "must be an address that begins with http:// or https://, because a chain has its step"
        );

    private static void Range(string name, TimeSpan value, TimeSpan min, TimeSpan max) =>
        Require(value >= min && value <= max, name, $"must be {min} to {max}");

    private static void Require(bool holds, string name, string rule)
    {
        if (!holds)
            throw new InvalidOperationException($"{Section}__{name} {rule}.");
    }

    [GeneratedRegex(@"\A[a-z0-9-]{1,40}\z", RegexOptions.None, 1_000)]
    private static partial Regex VariantName();
}
