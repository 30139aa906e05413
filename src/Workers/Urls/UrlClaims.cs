using Npgsql;

namespace Pipeline.Workers.Urls;

/// <summary>A picture that this worker may sign until its claim ends.</summary>
/// <param name="Urls">Those stored, of whatever version, by variant.</param>
internal sealed record ClaimedImage(
    Guid Id,
    Guid ProjectId,
    int Version,
    string ObjectKey,
    IReadOnlyDictionary<string, StoredUrl> Urls
);

/// <summary>Where a picture and its signing stand.</summary>
/// <param name="ProjectId">The picture's project.</param>
/// <param name="Version">The picture's.</param>
/// <param name="IsShown">Placed and not deleted.</param>
/// <param name="IsDeleted">Tombstoned.</param>
/// <param name="IsClaimed">Somebody is signing it.</param>
/// <param name="IsDue">It was never signed so, or its refresh window is open.</param>
/// <param name="SignedBy">The command that last signed it.</param>
internal sealed record UrlStanding(
    Guid ProjectId,
    int Version,
    bool IsShown,
    bool IsDeleted,
    bool IsClaimed,
    bool IsDue,
    Guid? SignedBy
);

/// <summary>
/// Who may sign which picture. A claim is taken in one statement, so that two workers never sign the same picture at
/// once, and ends by itself, so that a dead worker's pictures are free again.
/// </summary>
internal sealed class UrlClaims(NpgsqlDataSource source, UrlsOptions options, UrlChains chains)
{
    // In the order of the ids, so that two workers with overlapping batches wait for each other and do not deadlock.
    private const string ClaimSql = """
        with wanted as (
            select i.id, i.project_id, i.version, i.object_key from pipeline.images i
            where i.id = any($1) and i.placed and i.deleted_at is null
        ), claimed as (
            insert into pipeline.url_signings as s (image_id, version, configuration, due_at, claim_id, claimed_until)
            select w.id, w.version, $2, now(), $3, now() + $4 from wanted w order by w.id
            on conflict (image_id) do update
                set version = excluded.version, configuration = excluded.configuration,
                    due_at = case when s.version = excluded.version and s.configuration = excluded.configuration
                             then s.due_at else now() end,
                    claim_id = excluded.claim_id, claimed_until = excluded.claimed_until
                where (s.claimed_until is null or s.claimed_until <= now())
                    and (s.due_at <= now() or s.version <> excluded.version
                        or s.configuration <> excluded.configuration
                        or $6 is not null and s.failures > 0 -- who asks does not wait for the sweep's next try
                        or $5 and s.signed_by is distinct from $6)
            returning s.image_id)
        select w.id, w.project_id, w.version, w.object_key from wanted w join claimed c on c.image_id = w.id
        """;

    private const string UrlsSql = """
        select image_id, variant, version, url, strategy, degraded, steps::text, signed_at, refresh_after, expires_at
        from pipeline.image_urls where image_id = any($1)
        """;

    private const string StandingSql = """
        select i.id, i.project_id, i.version, i.placed and i.deleted_at is null, i.deleted_at is not null,
               coalesce(s.claimed_until > now(), false),
               coalesce(s.due_at <= now() or s.version <> i.version or s.configuration <> $2, true), s.signed_by
        from pipeline.images i left join pipeline.url_signings s on s.image_id = i.id
        where i.id = any($1)
        """;

    /// <summary>Claims those that are due and that nobody else has claimed.</summary>
    /// <param name="claim">Names the claim; new for each call.</param>
    /// <param name="images">At most <see cref="UrlSigner.BatchLimit"/>.</param>
    /// <param name="demand">Forced, it takes what is not due as well, unless the same command has signed it already.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task<List<ClaimedImage>> TakeAsync(
        Guid claim,
        IReadOnlyCollection<Guid> images,
        UrlDemand demand,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(ClaimSql);
        command.Parameters.AddWithValue(images.ToArray());
        command.Parameters.AddWithValue(chains.Configuration);
        command.Parameters.AddWithValue(claim);
        command.Parameters.AddWithValue(options.ClaimLength);
        command.Parameters.AddWithValue(demand.Force);
        command.Parameters.Add(
            new NpgsqlParameter
            {
                Value = (object?)demand.CommandId ?? DBNull.Value,
                NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid,
            }
        );
        var taken = new List<(Guid Id, Guid ProjectId, int Version, string ObjectKey)>();
        await using (var row = await command.ExecuteReaderAsync(cancellation))
        {
            while (await row.ReadAsync(cancellation))
                taken.Add((row.GetGuid(0), row.GetGuid(1), row.GetInt32(2), row.GetString(3)));
        }

        if (taken.Count == 0)
            return [];
        var urls = await UrlsAsync([.. taken.Select(x => x.Id)], cancellation);
        return
        [
            .. taken.Select(x => new ClaimedImage(
                x.Id,
                x.ProjectId,
                x.Version,
                x.ObjectKey,
                urls[x.Id].ToDictionary(y => y.Variant, StringComparer.Ordinal)
            )),
        ];
    }

    /// <summary>How pictures stand; those that were never saved are absent.</summary>
    public async Task<Dictionary<Guid, UrlStanding>> StandingAsync(
        IReadOnlyCollection<Guid> images,
        CancellationToken cancellation
    )
    {
        await using var command = source.CreateCommand(StandingSql);
        command.Parameters.AddWithValue(images.ToArray());
        command.Parameters.AddWithValue(chains.Configuration);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var standing = new Dictionary<Guid, UrlStanding>();
        while (await row.ReadAsync(cancellation))
            standing[row.GetGuid(0)] = new UrlStanding(
                row.GetGuid(1),
                row.GetInt32(2),
                row.GetBoolean(3),
                row.GetBoolean(4),
                row.GetBoolean(5),
                row.GetBoolean(6),
                row.IsDBNull(7) ? null : row.GetGuid(7)
            );
        return standing;
    }

    private async Task<ILookup<Guid, StoredUrl>> UrlsAsync(Guid[] images, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(UrlsSql);
        command.Parameters.AddWithValue(images);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var urls = new List<(Guid Image, StoredUrl Url)>();
        while (await row.ReadAsync(cancellation))
            urls.Add(
                (
                    row.GetGuid(0),
                    new StoredUrl(
                        row.GetString(1),
                        row.GetInt32(2),
                        row.GetString(3),
                        row.GetString(4),
                        row.GetBoolean(5),
                        row.GetString(6),
                        row.GetFieldValue<DateTimeOffset>(7),
                        row.GetFieldValue<DateTimeOffset>(8),
                        row.GetFieldValue<DateTimeOffset>(9)
                    )
                )
            );
        return urls.ToLookup(x => x.Image, x => x.Url);
    }
}
