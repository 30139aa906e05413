namespace Pipeline.Workers.Cdn;

/// <summary>A network that keeps copies of pictures and forgets them when told.</summary>
internal interface ICdn
{
    /// <summary>As settings and metrics call it.</summary>
    string Name { get; }

    /// <summary>Has the copies of these objects forgotten; what was never kept counts as forgotten.</summary>
    /// <param name="keys">1 to <see cref="CdnInvalidation.BatchLimit"/> keys of the object store.</param>
    /// <param name="reference">The same for the same keys, so that a repeated call is the same request.</param>
    /// <param name="cancellation">The caller's; an answer that does not come in time is no cancellation.</param>
    /// <exception cref="CdnUnavailableException">Worth a retry.</exception>
    /// <exception cref="CdnRefusedException">No retry helps until a person has changed the settings.</exception>
    Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation);
}

/// <summary>The CDN did not answer in time, or answered that it cannot now. The same call may succeed later.</summary>
internal sealed class CdnUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The CDN refused the request.</summary>
internal sealed class CdnRefusedException(string message) : Exception(message);
