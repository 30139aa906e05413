using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Contracts;
using Pipeline.Contracts.Receipts;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Persistence;
using RabbitMQ.Client;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>
/// The lane without its queue: deliveries are what a test says they are. Behind them stand the real writer on a
/// database and the real announcer on a virtual host, both of the test class's own.
/// </summary>
public sealed class ScratchLane : IAsyncLifetime
{
    public const int Lane = 3;

    private readonly string _vhost = Scratch.NewName();
    private readonly ScratchDatabase _database = new();
    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private IConnection _connection = null!;
    private ConfirmedPublisher _publisher = null!;

    internal ScratchDatabase Database => _database;

    internal StepHandler Handler { get; } = new();

    /// <summary>A virtual host of the test class's own.</summary>
    internal Uri Broker { get; private set; } = null!;

    internal IConnection Connection => _connection;

    public async Task InitializeAsync()
    {
        await _database.InitializeAsync();
        await _database.ExecuteAsync(
            "create table public.steps (position bigint generated always as identity, project_id uuid, number int)"
        );

        var broker = new UriBuilder(ScratchDatabase.Required("ConnectionStrings__RabbitMq")) { Path = _vhost };
        using (var management = new BrokerManagement())
        {
            await management.SendAsync(HttpMethod.Put, $"/api/vhosts/{_vhost}");
            await management.GrantAsync(_vhost, broker.UserName, new BrokerUser(broker.UserName, ".*", ".*", ".*"));
        }

        Broker = broker.Uri;
        _publisher = new ConfirmedPublisher(broker.Uri, "lane tests");
        _connection = await new ConnectionFactory { Uri = broker.Uri }.CreateConnectionAsync();
        await using var channel = await _connection.CreateChannelAsync();
        Type[] events = [typeof(CommandRejected), typeof(CommandFailed), typeof(CommandSuperseded), typeof(StepTaken)];
        await EventTopology.DeclareAsync(channel, events, default);
    }

    public async Task DisposeAsync()
    {
        if (_connection is not null)
        {
            await _publisher.DisposeAsync();
            await _connection.DisposeAsync();
            await Scratch.RemoveVirtualHostLaterAsync(_vhost);
        }

        await _database.DisposeAsync();
        await _meters.DisposeAsync();
    }

    internal LaneWriter NewWriter() =>
        new(
            _database.Source,
            [Handler],
            new LaneMetrics(_meters.GetRequiredService<IMeterFactory>()),
            TimeProvider.System
        );

    /// <summary>What a worker's lanes apply with. Each has an identity of its own, as after a restart.</summary>
    internal LaneApplier NewApplier(Guid? workerId = null) =>
        new(
            NewWriter(),
            new LaneSuspects(_database.Source, new WorkerIdentity(workerId ?? Guid.NewGuid(), "lane tests")),
            TimeProvider.System,
            NullLogger<LaneApplier>.Instance
        );

    /// <summary>Applies a batch in this order and publishes its events, as a lane does.</summary>
    /// <returns>Outcome and reason of each.</returns>
    internal async Task<string[]> ApplyAsync(params LaneEntry[] batch)
    {
        await NewApplier().ApplyAsync(Lane, batch, CancellationToken.None);
        var publisher = new LanePublisher(_publisher, TimeProvider.System, NullLogger<LanePublisher>.Instance);
        await publisher.PublishAsync(
            Lane,
            [
                .. batch.SelectMany(x =>
                    x.Decision!.Announcements.Select(announcement => announcement.ToWire(x.ProjectId))
                ),
            ],
            CancellationToken.None
        );
        return [.. batch.Select(x => $"{x.Decision!.Outcome} {x.Decision.Reason}".TrimEnd())];
    }

    /// <summary>A queue behind every event of this class's commands, from now on.</summary>
    internal async Task<EventQueue> ListenAsync(Guid projectId)
    {
        var channel = await _connection.CreateChannelAsync();
        var queue = (await channel.QueueDeclareAsync()).QueueName;
        foreach (var exchange in new[] { "command-rejected", "command-failed", "step-taken" })
            await channel.QueueBindAsync(queue, exchange, projectId.ToString());
        return new EventQueue(channel, queue);
    }

    /// <summary>The numbers of a project's steps in the order in which they were applied.</summary>
    internal async Task<int[]> StepsAsync(Guid projectId) =>
        [
            .. (
                await _database.TextsAsync(
                    "select number from public.steps where project_id = $1 order by position",
                    projectId
                )
            ).Select(int.Parse),
        ];

    /// <returns>Outcome, replays and reason.</returns>
    internal async Task<string> ReceiptAsync(Guid commandId) =>
        (
            await _database.TextsAsync(
                "select format('%s %s %s', outcome, replays, reason) from pipeline.receipts where command_id = $1",
                commandId
            )
        )
            .Single()
            .TrimEnd();
}

/// <summary>A command whose effect is its place in a table, so that the order of application can be read back.</summary>
internal sealed record TakeStep(Guid CommandId, Guid ProjectId, int Number) : ILaneCommand;

internal sealed record StepTaken(Guid CommandId, int Number, DateTimeOffset At);

internal sealed class StepHandler : LaneHandler<TakeStep>
{
    private readonly ConcurrentDictionary<Guid, string> _broken = new();
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource> _held = new();
    private readonly ConcurrentDictionary<Guid, int> _together = new();
    private readonly SemaphoreSlim _begun = new(0);

    /// <summary>Sizes of the runs that each project's commands came in.</summary>
    public ConcurrentQueue<(Guid ProjectId, int Size)> Runs { get; } = new();

    /// <summary>This command fails from now on: with an exception, or with an error of the database.</summary>
    public void Break(Guid commandId, bool inDatabase = false) =>
        _broken[commandId] = inDatabase ? "insert into public.steps (number) values (1 / 0)" : "";

    public void Mend(Guid commandId) => _broken.TryRemove(commandId, out _);

    /// <summary>This command waits in the middle of its transaction until it is released or given up.</summary>
    public void Hold(Guid commandId) => _held[commandId] = new TaskCompletionSource();

    public void Release(Guid commandId)
    {
        if (_held.TryRemove(commandId, out var held))
            held.SetResult();
    }

    /// <summary>Waits until a held command has been begun.</summary>
    public Task HeldAsync() => _begun.WaitAsync();

    /// <summary>The first transactions with this command go on only when all of them have come so far.</summary>
    public void HoldTogether(Guid commandId, int count)
    {
        _together[commandId] = count;
        _held[commandId] = new TaskCompletionSource();
    }

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
        {
            if (!_held.TryGetValue(entry.CommandId, out var held))
                continue;
            if (_together.ContainsKey(entry.CommandId))
            {
                if (_together.AddOrUpdate(entry.CommandId, 0, (_, x) => x - 1) == 0)
                    Release(entry.CommandId);
            }
            else
                _begun.Release();

            await held.Task.WaitAsync(cancellation);
        }

        Runs.Enqueue((run[0].ProjectId, run.Count));
        foreach (var entry in run)
        {
            if (_broken.TryGetValue(entry.CommandId, out var sql))
            {
                if (sql.Length == 0)
                    throw new InvalidOperationException("The step is broken.");
                transaction.Write(sql);
            }

            transaction.Write(
                "insert into public.steps (project_id, number) values ($1, $2)",
                entry.ProjectId,
                entry.As<TakeStep>().Number
            );
            entry.Decide(
                Outcomes.Applied,
                reason: null,
                transaction.NextVersion(entry.ProjectId),
                transaction.Now,
                Announcement.OfCause(
                    entry.CommandId,
                    new StepTaken(entry.CommandId, entry.As<TakeStep>().Number, transaction.Now)
                )
            );
        }
    }

    protected override string? Refuse(TakeStep command) => null;
}

/// <summary>What a listener gets.</summary>
internal sealed class EventQueue(IChannel channel, string queue) : IAsyncDisposable
{
    /// <summary>The next event: its exchange, id and body.</summary>
    public async Task<string> NextAsync()
    {
        BasicGetResult? got = null;
        await Until.TrueAsync(
            "an event",
            async () => (got = await channel.BasicGetAsync(queue, autoAck: true)) is not null
        );
        return $"{got!.Exchange} {got.BasicProperties.MessageId} {Encoding.UTF8.GetString(got.Body.Span)}";
    }

    public ValueTask DisposeAsync() => channel.DisposeAsync();
}

internal static class Steps
{
    public static LaneEntry Entry(TakeStep step, int replays = 0, int redeliveries = 0) =>
        LaneEntry.Of(step, step.CommandId, refusal: null, replays, redeliveries);
}
