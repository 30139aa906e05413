using Npgsql;
using NpgsqlTypes;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Urls;

/// <summary>What commits together with the URLs, such as a receipt.</summary>
/// <returns>False to undo everything: the command has been answered before.</returns>
internal delegate Task<bool> AlongWithUrls(
    NpgsqlConnection connection,
    NpgsqlTransaction transaction,
    IReadOnlyList<UrlResult> results,
    CancellationToken cancellation
);

/// <summary>Stores signed URLs with their events and counts, and ends the claims.</summary>
internal sealed class UrlLedger(NpgsqlDataSource source, UrlChains chains, UrlsOptions options, TimeProvider clock)
{
    // Also the lock that keeps the claims while the rest is written.
    private const string OursSql = """
        select s.image_id, i.version, s.failures from pipeline.url_signings s
        left join pipeline.images i on i.id = s.image_id and i.deleted_at is null
        where s.claim_id = $1 and s.image_id = any($2) order by s.image_id for update of s
        """;

    // The version is compared once more, in the statement that writes. The row's lock makes a replacement wait for this
    // commit, so that it sees how long the earlier bytes are needed.
    private const string UrlsSql = """
        insert into pipeline.image_urls as u (image_id, variant, version, url, strategy, degraded, steps, signed_at,
            refresh_after, expires_at)
        select r.image_id, r.variant, r.version, r.url, r.strategy, r.degraded, r.steps::jsonb, r.signed_at,
               r.refresh_after, r.expires_at
        from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            as r (image_id, variant, version, url, strategy, degraded, steps, signed_at, refresh_after, expires_at)
        join pipeline.images i on i.id = r.image_id and i.version = r.version and i.deleted_at is null
        for share of i
        on conflict (image_id, variant) do update
            set version = excluded.version, url = excluded.url, strategy = excluded.strategy,
                degraded = excluded.degraded, steps = excluded.steps, signed_at = excluded.signed_at,
                refresh_after = excluded.refresh_after, expires_at = excluded.expires_at
        returning u.image_id
        """;

    // The next due time of a picture is that of its first URL, unless a variant has failed.
    private const string SigningsSql = """
        update pipeline.url_signings s
        set claim_id = null, claimed_until = null,
            signed_by = case when r.signed then $7 else s.signed_by end,
            failures = case when r.failure is null and not r.given_back then 0
                            when r.failure is null then s.failures else s.failures + 1 end,
            failure_reason = case when r.given_back then s.failure_reason else r.failure end,
            failed_at = case when r.failure is null then s.failed_at else $8 end,
            due_at = coalesce(r.due_at, (
                select min(u.refresh_after) from pipeline.image_urls u
                where u.image_id = s.image_id and u.version = s.version and u.variant = any($9)), now())
        from unnest($2, $3, $4, $5, $6) as r (image_id, signed, given_back, failure, due_at)
        where s.image_id = r.image_id and s.claim_id = $1
        """;

    private const string ReleaseSql = """
        update pipeline.url_signings set claim_id = null, claimed_until = null where claim_id = $1 and image_id = any($2)
        """;

    // A variant that is no longer configured is not renewed; it goes once nobody can use it any more.
    private const string ForgetSql = """
        delete from pipeline.image_urls where image_id = any($1) and variant <> all($2) and expires_at <= now()
        """;

    /// <returns>The results, corrected where a picture or a claim has changed meanwhile.</returns>
    public async Task<IReadOnlyList<UrlResult>> StoreAsync(
        Guid claim,
        IReadOnlyList<UrlResult> results,
        Guid? commandId,
        AlongWithUrls? also,
        CancellationToken cancellation
    )
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var ids = results.Select(x => x.Image.Id).ToArray();
        var ours = await OursAsync(connection, transaction, claim, ids, cancellation);
        var stored = results.Select(x => x with { Outcome = OutcomeOf(x, ours) }).ToList();
        var written = await WriteUrlsAsync(connection, transaction, stored, cancellation);
        for (var i = 0; i < stored.Count; i++)
        {
            if (UrlsOf(stored[i]).Any() && !written.Contains(stored[i].Image.Id))
                stored[i] = stored[i] with { Outcome = UrlOutcome.Superseded };
        }

        var at = clock.GetDatabaseNow();
        var told = stored
            .Select(x => new ToldResult(
                x,
                (ours.GetValueOrDefault(x.Image.Id)?.Failures ?? 0) + 1,
                RetryAt(x, ours, at)
            ))
            .ToList();
        await WriteSigningsAsync(connection, transaction, claim, told, commandId, at, cancellation);
        await UrlStepCounts.AddAsync(connection, transaction, stored, at, cancellation);
        var messages = told.SelectMany(x => UrlMessages.Of(x, claim, commandId, at)).ToList();
        await Outbox.AppendAsync(connection, transaction, messages, cancellation);
        if (also is not null && !await also(connection, transaction, stored, cancellation))
        {
            await transaction.RollbackAsync(cancellation);
            await using var release = new NpgsqlCommand(ReleaseSql, connection);
            release.Parameters.AddWithValue(claim);
            release.Parameters.AddWithValue(ids);
            await release.ExecuteNonQueryAsync(cancellation);
            return [];
        }

        await transaction.CommitAsync(cancellation);
        return stored;
    }

    private static async Task<Dictionary<Guid, Claim>> OursAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid claim,
        Guid[] ids,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(OursSql, connection, transaction);
        command.Parameters.AddWithValue(claim);
        command.Parameters.AddWithValue(ids);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var ours = new Dictionary<Guid, Claim>();
        while (await row.ReadAsync(cancellation))
            ours[row.GetGuid(0)] = new Claim(row.IsDBNull(1) ? null : row.GetInt32(1), row.GetInt32(2));
        return ours;
    }

    private static UrlOutcome OutcomeOf(UrlResult result, Dictionary<Guid, Claim> ours) =>
        !ours.TryGetValue(result.Image.Id, out var claim) ? UrlOutcome.GivenBack
        : claim.Version != result.Image.Version ? UrlOutcome.Superseded
        : result.Outcome;

    private static IEnumerable<StoredUrl> UrlsOf(UrlResult result) =>
        result.Outcome is UrlOutcome.GivenBack or UrlOutcome.Superseded
            ? []
            : result.Chains.Values.Select(x => x.Url).OfType<StoredUrl>();

    private static async Task<HashSet<Guid>> WriteUrlsAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        List<UrlResult> results,
        CancellationToken cancellation
    )
    {
        var rows = results.SelectMany(x => UrlsOf(x).Select(y => (x.Image.Id, Url: y))).ToList();
        if (rows.Count == 0)
            return [];

        await using var command = new NpgsqlCommand(UrlsSql, connection, transaction);
        command.Parameters.AddWithValue(rows.Select(x => x.Id).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Variant).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Version).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Url).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Strategy).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Degraded).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.Steps).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.SignedAt).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.RefreshAfter).ToArray());
        command.Parameters.AddWithValue(rows.Select(x => x.Url.ExpiresAt).ToArray());
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var written = new HashSet<Guid>();
        while (await row.ReadAsync(cancellation))
            written.Add(row.GetGuid(0));
        return written;
    }

    private async Task WriteSigningsAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid claim,
        List<ToldResult> told,
        Guid? commandId,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        var variants = chains.Variants.Keys.ToArray();
        var ids = told.Select(x => x.Result.Image.Id).ToArray();
        await using var command = new NpgsqlCommand(SigningsSql, connection, transaction);
        command.Parameters.AddWithValue(claim);
        command.Parameters.AddWithValue(ids);
        command.Parameters.AddWithValue(told.Select(x => x.Result.IsSigned).ToArray());
        command.Parameters.AddWithValue(
            told.Select(x => x.Result.Outcome is UrlOutcome.GivenBack or UrlOutcome.Superseded).ToArray()
        );
        command.Parameters.Add(Of(told.Select(x => x.Result.FailureReason), NpgsqlDbType.Text));
        command.Parameters.Add(Of(told.Select(x => x.RetryAt), NpgsqlDbType.TimestampTz));
        command.Parameters.Add(
            new NpgsqlParameter { Value = (object?)commandId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid }
        );
        command.Parameters.AddWithValue(at);
        command.Parameters.AddWithValue(variants);
        await command.ExecuteNonQueryAsync(cancellation);

        await using var forget = new NpgsqlCommand(ForgetSql, connection, transaction);
        forget.Parameters.AddWithValue(ids);
        forget.Parameters.AddWithValue(variants);
        await forget.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Null where the URLs say when they are due; a picture that was given back is due at once.</summary>
    private DateTimeOffset? RetryAt(UrlResult result, Dictionary<Guid, Claim> ours, DateTimeOffset at)
    {
        if (result.Outcome is UrlOutcome.GivenBack or UrlOutcome.Superseded)
            return at;
        if (result.Outcome != UrlOutcome.Failed)
            return null;
        var failures = ours[result.Image.Id].Failures;
        var ceiling = options.BackoffFirst * Math.Pow(2, Math.Min(failures, 30));
        // Half of it is chance, so that what failed together is not tried together.
        return at
            + (ceiling < options.BackoffLimit ? ceiling : options.BackoffLimit)
                * (0.5 + 0.5 * Random.Shared.NextDouble());
    }

    private static NpgsqlParameter Of<T>(IEnumerable<T> values, NpgsqlDbType type) =>
        new() { Value = values.ToArray(), NpgsqlDbType = NpgsqlDbType.Array | type };

    private sealed record Claim(int? Version, int Failures);
}
