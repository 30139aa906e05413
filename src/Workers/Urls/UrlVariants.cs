using Npgsql;

namespace Pipeline.Workers.Urls;

/// <summary>Tells the publisher, through the database, which variants there are.</summary>
internal sealed class UrlVariants(NpgsqlDataSource source, UrlChains chains)
{
    private const string TellSql = """
        with told as (
            insert into pipeline.url_variants as v (name, chain, configured_at)
            select name, chain, now() from unnest($1, $2) as r (name, chain) order by name
            on conflict (name) do update set chain = excluded.chain, configured_at = excluded.configured_at)
        delete from pipeline.url_variants where name <> all($1)
        """;

    private bool _isTold;

    /// <summary>Once in a process; every worker has the same settings.</summary>
    public async Task TellAsync(CancellationToken cancellation)
    {
        if (_isTold)
            return;
        await using var command = source.CreateCommand(TellSql);
        command.Parameters.AddWithValue(chains.Variants.Keys.ToArray());
        command.Parameters.AddWithValue(chains.Variants.Values.Select(x => x.Description).ToArray());
        await command.ExecuteNonQueryAsync(cancellation);
        _isTold = true;
    }
}
