using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Cataloguing;

/// <summary>
/// Sends the pages again whose pause is over or whose message was lost, adds up the tallies, and drops the entries of
/// objects that have been gone for long. Runs in every process.
/// </summary>
internal sealed class CatalogSweeper(
    NpgsqlDataSource source,
    CataloguingOptions options,
    TimeProvider clock,
    ILogger<CatalogSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int PartLimit = 100;

    private const int EntryLimit = 5_000;

    private const int TallyLimit = 5_000;

    // Less are left as they are: the views add them up as well.
    private const int TallyThreshold = 500;

    // Claimed until the message would be lost too; the page that it works sets the time anew. A part that is done has
    // its end told again, until the rebuild ends and its parts go. The time itself stays: a page compares it.
    private const string DueSql = """
        update pipeline.catalog_rebuild_parts p set swept_at = now()
        where (rebuild_id, number) in (
            select rebuild_id, number from pipeline.catalog_rebuild_parts
            where due_at <= now() and (swept_at is null or swept_at < due_at or swept_at <= now() - $2)
            order by due_at limit $1 for update skip locked)
        returning rebuild_id, number, pages, done
        """;

    private const string ForgetSql = """
        delete from pipeline.catalog_entries where key in (
            select key from pipeline.catalog_entries where gone_at <= now() - $2
            order by gone_at limit $1 for update skip locked)
        """;

    // A reader sees the rows before or their sum, never both.
    private const string FoldSql = """
        with taken as (
            delete from pipeline.catalog_tallies where id in (
                select id from pipeline.catalog_tallies order by id limit $1 for update skip locked)
                and (select count(*) from (select from pipeline.catalog_tallies limit $2) as few) = $2
            returning prefix, content_type, objects, bytes)
        insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
        select prefix, content_type, sum(objects), sum(bytes) from taken group by prefix, content_type
        having sum(objects) <> 0 or sum(bytes) <> 0
        """;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await SendDueAsync(stopping);
        await ExecuteAsync(ForgetSql, [EntryLimit, options.GoneFor], stopping);
        await ExecuteAsync(FoldSql, [TallyLimit, TallyThreshold], stopping);
    }

    private async Task SendDueAsync(CancellationToken stopping)
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        await using var transaction = await connection.BeginTransactionAsync(stopping);
        var due = new List<WireMessage>();
        await using (var command = new NpgsqlCommand(DueSql, connection, transaction))
        {
            command.Parameters.AddWithValue(PartLimit);
            command.Parameters.AddWithValue(options.StaleAfter);
            await using var row = await command.ExecuteReaderAsync(stopping);
            while (await row.ReadAsync(stopping))
                due.Add(
                    row.GetBoolean(3)
                        ? RebuildMessages.EndOf(row.GetGuid(0), row.GetInt32(1))
                        : RebuildMessages.NextOf(row.GetGuid(0), row.GetInt32(1), row.GetInt32(2))
                );
        }

        await Outbox.AppendAsync(connection, transaction, due, stopping);
        await transaction.CommitAsync(stopping);
    }

    private async Task ExecuteAsync(string sql, object[] parameters, CancellationToken stopping)
    {
        await using var command = source.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync(stopping);
    }
}
