using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>Announces the end of a storyboard's generation, once every one of its requests has its receipt.</summary>
internal sealed partial class StoryboardSweeper(
    NpgsqlDataSource source,
    GenerationOptions options,
    TimeProvider clock,
    ILogger<StoryboardSweeper> logger
) : Sweeper(options.SweepEvery, clock, logger)
{
    private const int BatchLimit = 50;

    // Some of the open ones, from a place of chance, so that a look costs the same however many are open.
    private const string CompleteSql = """
        with start as materialized (select (random() * 4294967295 - 2147483648)::integer as hash),
        open as materialized (
            (select command_id, project_id from pipeline.generation_storyboards
             where completed_at is null and uuid_hash(command_id) > (select hash from start)
             order by uuid_hash(command_id) limit 2 * $1)
            union all
            (select command_id, project_id from pipeline.generation_storyboards
             where completed_at is null and uuid_hash(command_id) <= (select hash from start)
             order by uuid_hash(command_id) limit 2 * $1))
        update pipeline.generation_storyboards set completed_at = $2
        where (command_id, project_id) in (
            select s.command_id, s.project_id from open o
            join pipeline.generation_storyboards s on s.command_id = o.command_id and s.project_id = o.project_id
            where s.completed_at is null and not exists (
                select from pipeline.generation_storyboard_items i
                where i.storyboard_id = s.command_id and i.project_id = s.project_id and not exists (
                    select from pipeline.receipts r where r.command_id = i.command_id and r.scope = i.project_id))
            limit $1 for update of s skip locked)
        returning command_id, project_id
        """;

    private const string ReadSql = """
        select command_id, project_id, requested, saved::int, missing_scenes
        from unnest($1, $2) as k (c, p) join status.generation_storyboards on command_id = c and project_id = p
        """;

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        await using var transaction = await connection.BeginTransactionAsync(stopping);
        var at = Clock.GetUtcNow();
        var completed = new List<CommandKey>();
        await using (var complete = new NpgsqlCommand(CompleteSql, connection, transaction))
        {
            complete.Parameters.AddWithValue(BatchLimit);
            complete.Parameters.AddWithValue(at);
            await using var row = await complete.ExecuteReaderAsync(stopping);
            while (await row.ReadAsync(stopping))
                completed.Add(new CommandKey(row.GetGuid(1), row.GetGuid(0)));
        }

        if (completed.Count == 0)
            return;

        var messages = await ReadAsync(connection, transaction, completed, at, stopping);
        await Outbox.AppendAsync(connection, transaction, messages, stopping);
        await transaction.CommitAsync(stopping);
    }

    private static async Task<List<WireMessage>> ReadAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        List<CommandKey> completed,
        DateTimeOffset at,
        CancellationToken stopping
    )
    {
        await using var read = new NpgsqlCommand(ReadSql, connection, transaction);
        read.Parameters.AddWithValue(completed.Select(x => x.CommandId).ToArray());
        read.Parameters.AddWithValue(completed.Select(x => x.Scope).ToArray());
        await using var row = await read.ExecuteReaderAsync(stopping);
        var messages = new List<WireMessage>();
        while (await row.ReadAsync(stopping))
        {
            var (commandId, projectId) = (row.GetGuid(0), row.GetGuid(1));
            var missing = row.GetFieldValue<string[]>(4);
            var done = new StoryboardCompleted(commandId, projectId, row.GetInt32(2), row.GetInt32(3), missing, at);
            messages.Add(Announcement.Of(new CommandKey(projectId, commandId), done).ToWire(projectId));
        }

        return messages;
    }
}
