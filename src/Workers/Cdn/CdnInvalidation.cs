namespace Pipeline.Workers.Cdn;

/// <summary>All CDNs that are configured, as one.</summary>
internal sealed class CdnInvalidation(IEnumerable<ICdn> cdns, CdnMetrics metrics)
{
    /// <summary>Keys in one call: CloudFront takes 3,000 paths that are in progress (developer guide, quotas).</summary>
    public const int BatchLimit = 1_000;

    private readonly ICdn[] _cdns = [.. cdns];

    public bool IsConfigured => _cdns.Length > 0;

    /// <inheritdoc cref="ICdn.InvalidateAsync"/>
    public async Task InvalidateAsync(IReadOnlyList<string> keys, string reference, CancellationToken cancellation)
    {
        foreach (var cdn in _cdns)
        {
            try
            {
                await cdn.InvalidateAsync(keys, reference, cancellation);
                metrics.Invalidated(cdn.Name, "done");
            }
            catch (CdnUnavailableException e)
            {
                metrics.Invalidated(cdn.Name, "unavailable");
                throw new CdnUnavailableException($"{cdn.Name}: {e.Message}", e);
            }
            catch (CdnRefusedException e)
            {
                metrics.Invalidated(cdn.Name, "refused");
                throw new CdnRefusedException($"{cdn.Name}: {e.Message}");
            }
        }
    }
}
