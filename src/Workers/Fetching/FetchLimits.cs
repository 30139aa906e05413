namespace Pipeline.Workers.Fetching;

/// <summary>Bounds of fetching from a URL that a stranger chose.</summary>
/// <param name="SizeLimitBytes">Largest body taken.</param>
/// <param name="Timeout">Of the whole fetch, redirects and body included.</param>
/// <param name="ConnectTimeout">Of one connection.</param>
/// <param name="RedirectLimit">Redirects followed.</param>
/// <param name="ConnectionsPerServer">At once.</param>
/// <param name="AllowPrivateNetworks">True lets a URL reach servers inside this network.</param>
internal sealed record FetchLimits(
    int SizeLimitBytes,
    TimeSpan Timeout,
    TimeSpan ConnectTimeout,
    int RedirectLimit,
    int ConnectionsPerServer,
    bool AllowPrivateNetworks
);
