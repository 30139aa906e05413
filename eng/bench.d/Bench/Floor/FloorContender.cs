using System.Text.Json;
using NpgsqlTypes;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Bench.Floor;

/// <summary>What a careful hand gets from the same servers without this pipeline, and without most of its promises.</summary>
internal sealed class FloorContender(BenchSettings settings, BenchSite site, Shape shape) : IContender
{
    private const string PrepareSql = """
        create schema bench;
        create table bench.documents (project_id uuid primary key, version bigint not null, document jsonb not null);
        """;

    private const string DefineSql =
        "insert into bench.documents (project_id, version, document) select p, 0, d from unnest($1, $2) as x (p, d)";

    private const string HoldSql =
        "select 1 from bench.documents where project_id = any($1) order by project_id for update";

    private const string CountSql =
        "select coalesce(sum(version), 0)::bigint from bench.documents where project_id = any($1)";

    private const string LastCommitSql =
        "select max(pg_xact_commit_timestamp(xmin)) from bench.documents where project_id = any($1)";

    private readonly List<ChildProcess> _processes = [];

    public string Name => "floor";

    public IReadOnlyList<int> Pids => [.. _processes.Select(x => x.Pid)];

    public async Task PrepareAsync(CancellationToken cancellation)
    {
        await using var prepare = site.Source.CreateCommand(PrepareSql);
        await prepare.ExecuteNonQueryAsync(cancellation);
        await OnChannelAsync(channel => FloorTopology.DeclareAsync(channel, shape.Lanes, cancellation), cancellation);
    }

    public Task StartAsync(CancellationToken cancellation)
    {
        for (var part = 0; part < shape.Processes; part++)
        {
            var log = Path.Combine(settings.LogFolder, $"floor-{part}.out");
            string[] arguments = ["floor", $"{part}", $"{shape.Processes}", $"{shape.Lanes}", Commits(part)];
            var program = typeof(FloorContender).Assembly.Location;
            _processes.Add(ChildProcess.Start(log, program, arguments, site.Environment));
        }

        return Task.CompletedTask;
    }

    public Task BalancedAsync(CancellationToken cancellation) =>
        OnChannelAsync(
            async channel =>
            {
                for (var number = 0; number < shape.Lanes; number++)
                {
                    var queue = FloorTopology.Queue(number);
                    await Until.TrueAsync(
                        async () =>
                        {
                            _processes.ForEach(x => x.RequireAlive());
                            return await channel.ConsumerCountAsync(queue, cancellation) > 0;
                        },
                        cancellation
                    );
                }
            },
            cancellation
        );

    public async Task StopAsync()
    {
        await Task.WhenAll(_processes.Select(x => x.StopAsync()));
        _processes.Clear();
    }

    public async Task DefineAsync(Workload work, ConfirmedPublisher publisher, CancellationToken cancellation)
    {
        var documents = work.Definitions()
            .Select(x => new ProjectDocument([
                .. x.Scenes.Select(scene => new SceneDocument(scene.Id, scene.Index, scene.Prompt, [])),
            ]));
        await using var define = site.Source.CreateCommand(DefineSql);
        define.Parameters.AddWithValue(work.Projects);
        define.Parameters.AddWithValue(
            NpgsqlDbType.Array | NpgsqlDbType.Jsonb,
            documents.Select(x => JsonSerializer.Serialize(x, WireJson.Options)).ToArray()
        );
        await define.ExecuteNonQueryAsync(cancellation);
    }

    public WireMessage Message(Workload work, int position) => work.Message(position, FloorTopology.Exchange);

    public Task<RowHold> HoldAsync(Workload work, CancellationToken cancellation) =>
        RowHold.TakeAsync(site.Source, HoldSql, work.Projects, cancellation);

    public async Task<long> CountAsync(Workload work, CancellationToken cancellation) =>
        (long)(await ScalarAsync(CountSql, work, cancellation))!;

    public async Task<DateTime> LastCommitAsync(Workload work, CancellationToken cancellation) =>
        (DateTime)(await ScalarAsync(LastCommitSql, work, cancellation))!;

    /// <summary>When each command was committed, by the clock of its process; known once they have ended.</summary>
    public Dictionary<Guid, DateTime> ReadCommits() =>
        Enumerable
            .Range(0, shape.Processes)
            .SelectMany(x => FloorProcess.ReadCommits(Commits(x)))
            .ToDictionary(x => x.CommandId, x => x.At);

    public async ValueTask DisposeAsync() => await StopAsync();

    private string Commits(int part) => Path.Combine(settings.LogFolder, $"floor-{part}.commits");

    private async Task OnChannelAsync(Func<IChannel, Task> work, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory { Uri = site.Broker };
        await using var connection = await factory.CreateConnectionAsync(cancellation);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        await work(channel);
    }

    private async Task<object?> ScalarAsync(string sql, Workload work, CancellationToken cancellation)
    {
        await using var command = site.Source.CreateCommand(sql);
        command.Parameters.AddWithValue(work.Projects);
        return await command.ExecuteScalarAsync(cancellation);
    }
}
