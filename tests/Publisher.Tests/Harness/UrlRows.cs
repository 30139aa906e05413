namespace Pipeline.Publisher.Tests.Harness;

/// <summary>Writes cached URLs as the workers do.</summary>
internal static class UrlRows
{
    /// <param name="refreshIn">From now; negative where the refresh window is open.</param>
    /// <param name="expiresIn">From now.</param>
    public static async Task UrlAsync(
        this ScratchServers servers,
        Guid image,
        string variant,
        string url,
        TimeSpan refreshIn,
        TimeSpan expiresIn,
        bool isDegraded = false,
        int version = 1
    )
    {
        await servers.SqlAsync(
            """
            insert into pipeline.url_signings (image_id, version, configuration, due_at)
            values ($1, $2, 0, now() + $3) on conflict (image_id) do update set due_at = excluded.due_at
            """,
            image,
            version,
            refreshIn
        );
        await servers.SqlAsync(
            """
            insert into pipeline.image_urls values
                ($1, $2, $3, $4, 's3', $5, '[{"step":"imgproxy","code":"unavailable","reason":"503."}]',
                 date_trunc('hour', now()) - interval '10 days', now() + $6, now() + $7)
            """,
            image,
            variant,
            version,
            url,
            isDegraded,
            refreshIn,
            expiresIn
        );
    }
}
