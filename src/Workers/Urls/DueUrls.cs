using Npgsql;

namespace Pipeline.Workers.Urls;

/// <summary>Which pictures the sweep has to sign.</summary>
internal sealed class DueUrls(NpgsqlDataSource source, UrlChains chains)
{
    /// <summary>Pictures that one look examines for missing URLs.</summary>
    public const int ExamineLimit = 2_000;

    private const string DueSql = """
        select s.image_id from pipeline.url_signings s
        where s.due_at <= now() and (s.claimed_until is null or s.claimed_until <= now())
        order by s.due_at limit $1
        """;

    // What is not shown needs no URL. Its rows go when they are due; should it be shown again, it counts as new.
    private const string ForgetSql = """
        with gone as (
            select s.image_id from pipeline.url_signings s
            where s.image_id = any($1) and (s.claimed_until is null or s.claimed_until <= now())
                and not exists (select from pipeline.images i
                                where i.id = s.image_id and i.placed and i.deleted_at is null)
            for update skip locked
        ), urls as (
            delete from pipeline.image_urls u using gone g where u.image_id = g.image_id)
        delete from pipeline.url_signings s using gone g where s.image_id = g.image_id
        """;

    // A walk over the primary key, a bounded part of it at each look: the lanes' inserts pay for no index or trigger.
    private const string UnsignedSql = """
        with examined as materialized (
            select i.id, i.version, i.placed and i.deleted_at is null as shown from pipeline.images i
            where i.id > $1 order by i.id limit $2
        ), unsigned as (
            select e.id from examined e
            left join pipeline.url_signings s
                on s.image_id = e.id and s.version = e.version and s.configuration = $3
            where e.shown and s.image_id is null order by e.id limit $4
        )
        select array(select id from unsigned), (select id from examined order by id desc limit 1),
               (select count(*) from examined)
        """;

    private const string OfProjectSql = """
        select i.id from pipeline.images i
        where i.project_id = $1 and i.deleted_at is null and i.placed and i.id > $2 order by i.id limit $3
        """;

    // Both are counted up to 10,000, so that a look at a long backlog costs no more than one at a short one.
    private const string BacklogSql = """
        select (select count(*) from (select from pipeline.image_urls where degraded limit 10000) d),
               (select count(*) from (
                   select from pipeline.url_signings where due_at <= now() order by due_at limit 10000) w),
               coalesce(extract(epoch from now() - (
                   select due_at from pipeline.url_signings where due_at <= now() order by due_at limit 1)), 0)::bigint
        """;

    private const string PruneSql = "delete from pipeline.url_steps where hour < now() - interval '30 days'";

    /// <summary>Pictures whose refresh window has opened, the longest overdue first.</summary>
    public async Task<Guid[]> DueAsync(int limit, CancellationToken cancellation)
    {
        var due = await IdsAsync(DueSql, cancellation, limit);
        if (due.Length > 0)
        {
            await using var forget = source.CreateCommand(ForgetSql);
            forget.Parameters.AddWithValue(due);
            await forget.ExecuteNonQueryAsync(cancellation);
        }

        return due;
    }

    /// <summary>Pictures that were never signed in their present version or for the present settings.</summary>
    /// <param name="after">Where the last look ended; all zeros for the beginning.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <returns>With where the next look begins: all zeros once the end is reached.</returns>
    public async Task<(Guid[] Images, Guid Next)> UnsignedAsync(Guid after, int limit, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(UnsignedSql);
        command.Parameters.AddWithValue(after);
        command.Parameters.AddWithValue(ExamineLimit);
        command.Parameters.AddWithValue(chains.Configuration);
        command.Parameters.AddWithValue(limit);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        var images = row.GetFieldValue<Guid[]>(0);
        var next =
            images.Length == limit ? images[^1]
            : row.GetInt64(2) < ExamineLimit ? Guid.Empty
            : row.GetGuid(1);
        return (images, next);
    }

    /// <summary>A project's pictures in the order of their ids.</summary>
    public Task<Guid[]> OfProjectAsync(Guid project, Guid after, int limit, CancellationToken cancellation) =>
        IdsAsync(OfProjectSql, cancellation, project, after, limit);

    public async Task<UrlBacklog> BacklogAsync(CancellationToken cancellation)
    {
        await using (var prune = source.CreateCommand(PruneSql))
            await prune.ExecuteNonQueryAsync(cancellation);
        await using var command = source.CreateCommand(BacklogSql);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        return new UrlBacklog(row.GetInt64(0), row.GetInt64(1), row.GetInt64(2));
    }

    private async Task<Guid[]> IdsAsync(string sql, CancellationToken cancellation, params object[] parameters)
    {
        await using var command = source.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var ids = new List<Guid>();
        while (await row.ReadAsync(cancellation))
            ids.Add(row.GetGuid(0));
        return [.. ids];
    }
}
