using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Contracts;
using Pipeline.Contracts.Receipts;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
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

    /// <summary>A channel's worth of deliveries; tags start at 1.</summary>
    /// <param name="closeChannel">What the lane does when it gives up.</param>
    /// <param name="batchLimit">Commands in one transaction.</param>
    internal LaneSequencer NewChannel(Func<Task>? closeChannel = null, int batchLimit = 256)
    {
        var meters = _meters.GetRequiredService<IMeterFactory>();
        var writer = new LaneWriter(_database.Source, [Handler], new LaneMetrics(meters), TimeProvider.System);
        return new LaneSequencer(
            Lane,
            batchLimit,
            new LaneApplier(writer, _database.Source, NullLogger<LaneApplier>.Instance),
            new LaneAnnouncer(
                _publisher,
                new MessagingOptions(new Uri("amqp://unused")),
                NullLogger<LaneAnnouncer>.Instance
            ),
            closeChannel ?? (() => Task.CompletedTask),
            NullLogger.Instance
        );
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

    /// <summary>Sizes of the runs that each project's commands came in.</summary>
    public ConcurrentQueue<(Guid ProjectId, int Size)> Runs { get; } = new();

    /// <summary>This command fails from now on: with an exception, or with an error of the database.</summary>
    public void Break(Guid commandId, bool inDatabase = false) =>
        _broken[commandId] = inDatabase ? "insert into public.steps (number) values (1 / 0)" : "";

    public void Mend(Guid commandId) => _broken.TryRemove(commandId, out _);

    public override Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
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
                Announcement.Of(
                    entry.CommandId,
                    new StepTaken(entry.CommandId, entry.As<TakeStep>().Number, transaction.Now)
                )
            );
        }

        return Task.CompletedTask;
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

/// <summary>A delivery as the lane's filters see it through.</summary>
internal static class Deliveries
{
    /// <summary>Gives the command in, and leaves its place when MassTransit would have moved the message.</summary>
    public static async Task DeliverAsync(this LaneTicket ticket, LaneEntry entry)
    {
        try
        {
            await ticket.ApplyAsync(entry);
        }
        finally
        {
            ticket.Leave();
        }
    }
}
