using System.Globalization;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;

namespace Pipeline.Bench;

/// <summary>
/// The pipeline itself: worker processes as an operator starts them, with the default settings but for the number of lanes.
/// </summary>
internal sealed class PipelineContender(BenchSettings settings, BenchSite site, Shape shape, int receipts) : IContender
{
    // SaveImage asks the catalogue whether the object is there. The objects themselves nobody reads.
    private const string PlantSql = """
        insert into pipeline.catalog_objects (key, size, etag, content_type, last_modified, first_seen)
        select k, s, 'bench', 'image/png', now(), now() from unnest($1, $2) as x (k, s)
        """;

    // Receipts as commands leave them, of other projects, over the last ninety days.
    private const string EarlierSql = """
        insert into pipeline.receipts
            (command_id, project_id, command, request_hash, outcome, project_version, replays, announcements, at,
             scope)
        select gen_random_uuid(), p, 'save-image', sha256(k::text::bytea), 'applied', k, 0,
               json_build_array(json_build_object('exchange', 'image-saved', 'messageId', gen_random_uuid(),
                   'body', json_build_object('commandId', gen_random_uuid(), 'reason', repeat('x', 300)))),
               now() - interval '89 days' * (1 - k / $1::float8), p
        from (select k, gen_random_uuid() as p from generate_series(1, $1) k) x
        """;

    private const string BalancedSql = """
        select count(*) = $1 and bool_and(n = $2)
        from (select count(*) as n from pipeline.lanes where lease_until > now() group by worker_id) x
        """;

    private const string DefinedSql = "select count(*) from pipeline.projects where id = any($1) and version >= 1";

    private const string HoldSql = "select 1 from pipeline.projects where id = any($1) order by id for update";

    // Each project's definition is one version, each command another.
    private const string CountSql =
        "select coalesce(sum(version) - count(*), 0)::bigint from pipeline.projects where id = any($1)";

    private const string LastCommitSql =
        "select max(pg_xact_commit_timestamp(xmin)) from pipeline.projects where id = any($1)";

    private const string CommitsSql = """
        select command_id, pg_xact_commit_timestamp(xmin) from pipeline.receipts
        where project_id = any($1) and command = 'save-image'
        """;

    private readonly List<ChildProcess> _workers = [];

    public string Name => "pipeline";

    public IReadOnlyList<int> Pids => [.. _workers.Select(x => x.Pid)];

    private IEnumerable<(string Name, string Value)> Environment =>
        [.. site.Environment, ("Lanes__Count", shape.Lanes.ToString(CultureInfo.InvariantCulture))];

    public async Task PrepareAsync(CancellationToken cancellation)
    {
        await using var migrate = ChildProcess.Start(Log("migrate"), settings.WorkersDll, ["migrate"], Environment);
        await migrate.SucceedAsync(cancellation);
        await using var earlier = site.Source.CreateCommand(EarlierSql);
        earlier.Parameters.AddWithValue(receipts);
        earlier.CommandTimeout = 0; // As long as it takes: a million are a minute.
        await earlier.ExecuteNonQueryAsync(cancellation);
        // Otherwise the server would do that during the first rounds.
        await using var tidy = site.Source.CreateCommand("vacuum (analyze) pipeline.receipts");
        tidy.CommandTimeout = 0;
        await tidy.ExecuteNonQueryAsync(cancellation);
    }

    public Task StartAsync(CancellationToken cancellation)
    {
        foreach (var name in Enumerable.Range(1, shape.Processes).Select(x => $"worker-{x}"))
        {
            _workers.Add(
                ChildProcess.Start(Log(name), settings.WorkersDll, ["run"], [.. Environment, ("Worker__Name", name)])
            );
        }

        return Task.CompletedTask;
    }

    public Task BalancedAsync(CancellationToken cancellation) =>
        Until.TrueAsync(
            async () =>
            {
                _workers.ForEach(x => x.RequireAlive());
                await using var balanced = site.Source.CreateCommand(BalancedSql);
                balanced.Parameters.AddWithValue((long)shape.Processes);
                balanced.Parameters.AddWithValue((long)(shape.Lanes / shape.Processes));
                return await balanced.ExecuteScalarAsync(cancellation) is true;
            },
            cancellation
        );

    public async Task StopAsync()
    {
        await Task.WhenAll(_workers.Select(x => x.StopAsync()));
        _workers.Clear();
    }

    public async Task DefineAsync(Workload work, ConfirmedPublisher publisher, CancellationToken cancellation)
    {
        await using var plant = site.Source.CreateCommand(PlantSql);
        plant.Parameters.AddWithValue(work.Commands.Select(x => x.ObjectKey).ToArray());
        plant.Parameters.AddWithValue(work.Commands.Select(x => x.ByteLength).ToArray());
        await plant.ExecuteNonQueryAsync(cancellation);
        await publisher.PublishAllAsync(work.Definitions().Select(WireMessage.Command), cancellation);
    }

    public WireMessage Message(Workload work, int position) =>
        work.Message(position, WireNames.ExchangeOf<SaveImage>());

    public async Task<RowHold> HoldAsync(Workload work, CancellationToken cancellation)
    {
        await Until.TrueAsync(
            async () => (long)(await ScalarAsync(DefinedSql, work, cancellation))! == work.Projects.Length,
            cancellation
        );
        return await RowHold.TakeAsync(site.Source, HoldSql, work.Projects, cancellation);
    }

    public async Task<long> CountAsync(Workload work, CancellationToken cancellation) =>
        (long)(await ScalarAsync(CountSql, work, cancellation))!;

    public async Task<DateTime> LastCommitAsync(Workload work, CancellationToken cancellation) =>
        (DateTime)(await ScalarAsync(LastCommitSql, work, cancellation))!;

    /// <summary>When each command's receipt was committed, by the database's own record.</summary>
    public async Task<Dictionary<Guid, DateTime>> CommitsAsync(Workload work, CancellationToken cancellation)
    {
        await using var command = site.Source.CreateCommand(CommitsSql);
        command.Parameters.AddWithValue(work.Projects);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var commits = new Dictionary<Guid, DateTime>();
        while (await row.ReadAsync(cancellation))
            commits[row.GetGuid(0)] = row.GetDateTime(1);
        return commits;
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private string Log(string process) => Path.Combine(settings.LogFolder, process + ".out");

    private async Task<object?> ScalarAsync(string sql, Workload work, CancellationToken cancellation)
    {
        await using var command = site.Source.CreateCommand(sql);
        command.Parameters.AddWithValue(work.Projects);
        return await command.ExecuteScalarAsync(cancellation);
    }
}
