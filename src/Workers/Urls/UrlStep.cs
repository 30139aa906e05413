namespace Pipeline.Workers.Urls;

/// <summary>What a URL is wanted for.</summary>
/// <param name="ObjectKey">The original in the store.</param>
/// <param name="Variant">How it is to look.</param>
/// <param name="Lifetime">How long the URL should work; a step may give less, never more.</param>
internal sealed record UrlRequest(string ObjectKey, VariantOptions Variant, TimeSpan Lifetime);

/// <summary>
/// One way to come by a URL. A step is asked once for each request and answers with a value, also when it fails: the
/// chain then goes on with the next one.
/// </summary>
internal interface IUrlStep
{
    /// <summary>As it is stored and counted, such as <c>s3</c> or <c>supabase-webp</c>; up to 40 characters.</summary>
    string Name { get; }

    /// <param name="request">What is wanted.</param>
    /// <param name="cancellation">The caller's; a server that is too slow is no cancellation.</param>
    Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation);
}

/// <summary>What a step answered.</summary>
internal abstract record StepAnswer;

/// <summary>A URL.</summary>
/// <param name="Url">Absolute. To be stored and handed out, never logged.</param>
/// <param name="ExpiresAt">When it stops working, UTC.</param>
/// <param name="Flaw">Why it is less than what was wanted; null where it is just that.</param>
internal sealed record SignedUrl(string Url, DateTimeOffset ExpiresAt, StepFailure? Flaw = null) : StepAnswer;

/// <summary>No URL.</summary>
/// <param name="Code">One of <see cref="StepFailures"/>: few, so that they can be counted.</param>
/// <param name="Reason">For people.</param>
internal sealed record StepFailure(string Code, string Reason) : StepAnswer;

/// <summary>The kinds of failure.</summary>
internal static class StepFailures
{
    /// <summary>No connection, no answer in time, or 408, 429, 5xx: it may pass.</summary>
    public const string Unavailable = "unavailable";

    /// <summary>It failed so often that it is left alone for a while.</summary>
    public const string Resting = "resting";

    /// <summary>Another status: the request is not taken as it is.</summary>
    public const string Refused = "refused";

    /// <summary>The answer holds no URL of the expected kind.</summary>
    public const string UnexpectedAnswer = "unexpected-answer";

    /// <summary>The server gave the original and not the transformed picture.</summary>
    public const string NotTransformed = "not-transformed";

    /// <summary>The credentials are about to end, have no known end, or are refused.</summary>
    public const string Credentials = "credentials";

    /// <summary>A picture that stands for one that cannot be shown.</summary>
    public const string Placeholder = "placeholder";

    /// <summary>The claim on the picture would have ended before the answer came.</summary>
    public const string OutOfTime = "out-of-time";
}
