using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Wire;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Lanes.Model;

/// <summary>Mistakes that the model must notice.</summary>
public enum Mutant
{
    None,

    /// <summary>The consumer is cancelled before its channel ends, as MassTransit does (I1).</summary>
    CancelsBeforeClose,

    /// <summary>More is acknowledged than what is committed and published (I4).</summary>
    AcknowledgesTooMuch,

    /// <summary>The lease is released before the broker has confirmed the close (I6).</summary>
    ReleasesBeforeClose,
}

/// <summary>
/// The real <see cref="Lane"/> in several workers, with a model of the queue, the database and the publisher. A seed
/// decides what happens next: a delivery, a step of a transaction, a confirm, a lost link, a lost lease, a hand-over, a
/// pause of a worker, time.
/// </summary>
internal sealed class LaneModel
{
    private const int Messages = 10;
    private const int Workers = 3;
    private const int FaultySteps = 150;
    private const int StepLimit = 20_000;

    private readonly Random _random;
    private readonly ModelScheduler _scheduler = new();
    private readonly ManualClock _clock = new();
    private readonly ModelBroker _broker;
    private readonly ModelDatabase _database;
    private readonly ModelWorker[] _workers;
    private readonly List<(ModelWorker? Worker, Action Action)> _later = [];
    private readonly List<int> _applied = [];
    private readonly HashSet<int> _published = [];
    private ModelWorker? _lease;

    public LaneModel(int seed, Mutant mutant)
    {
        (_random, Mutant) = (new Random(seed), mutant);
        _broker = new ModelBroker(this, Messages);
        _database = new ModelDatabase(this);
        _workers = [.. Enumerable.Range(0, Workers).Select(_ => new ModelWorker(this, _scheduler.NewWorker()))];
    }

    public Mutant Mutant { get; }

    /// <summary>The first invariant that was broken; null while all hold.</summary>
    public string? Broken { get; private set; }

    public LaneOptions Options { get; } = new() { Prefetch = 4, BatchLimit = 3 };

    public TimeProvider Clock => _clock;

    public ModelBroker Broker => _broker;

    public ModelDatabase Database => _database;

    /// <summary>Runs until every message is done with, or an invariant is broken.</summary>
    /// <returns>The broken invariant; null where all held.</returns>
    public string? Run()
    {
        for (var step = 0; Broken is null && step < StepLimit; step++)
        {
            Step(isFaulty: step < FaultySteps);
            if (step >= FaultySteps && _broker.IsEmpty)
                return Broken ?? (_applied.Count == Messages ? null : "lost: not every message was applied");
        }

        return Broken ?? "standstill: the messages were not done within the limit";
    }

    /// <summary>An effect is committed.</summary>
    public void Applied(int message)
    {
        if (message != _applied.Count + 1)
            Broken ??= $"order: {message} is applied after {string.Join(' ', _applied)}";
        _applied.Add(message);
    }

    /// <summary>The broker forgets a message.</summary>
    public void Acknowledged(ModelLink link, int message)
    {
        if (!_database.HasReceipt(message))
            Broken ??= $"I4: {message} is acknowledged and not committed";
        if (!_published.Contains(message))
            Broken ??= $"I4: {message} is acknowledged and its event is not confirmed";
    }

    /// <summary>The broker has confirmed the event of a message.</summary>
    public void Published(int message)
    {
        if (_published.Add(message) && message != _published.Count)
            Broken ??= $"order: the event of {message} is the {_published.Count}th";
    }

    /// <summary>A batch is begun.</summary>
    public void Began(CancellationToken given)
    {
        if (given.IsCancellationRequested)
            Broken ??= "I5: a batch is begun after the link was lost";
    }

    /// <summary>Something that happens on its own, at some step.</summary>
    public void Later(Action action) => _later.Add((null, action));

    /// <summary>The same for something that a worker waits for.</summary>
    public Task<T> LaterAsync<T>(ModelWorker worker, string what, Func<T> action)
    {
        var done = new TaskCompletionSource<T>(what);
        _later.Add((worker, () => done.TrySetResult(action())));
        return done.Task;
    }

    /// <summary>A worker has left its lane and was told that the close is confirmed.</summary>
    public void Release(ModelWorker worker, int tenure)
    {
        if (_broker.Consumers.Any(x => x.Worker == worker && x.Tenure == tenure))
            Broken ??= "I6: a lease is released before the consumer is gone";
        if (_lease == worker)
            _lease = null;
    }

    private void Step(bool isFaulty)
    {
        // Faults are rare beside the ordinary, or nothing would ever be done.
        if (isFaulty && _random.Next(12) == 0)
        {
            Fault();
            return;
        }

        if (!isFaulty)
            Array.ForEach(_workers, x => x.Context.IsPaused = false);
        switch (_random.Next(6))
        {
            case 0 or 1 when _scheduler.HasWork:
                _scheduler.RunOne(_random);
                break;
            case 2 when _broker.CanDeliver:
                _broker.Deliver();
                break;
            case 3 when _database.Open.Count > 0:
                var transaction = _database.Open[_random.Next(_database.Open.Count)];
                if (_database.CanAdvance(transaction))
                    _database.Advance(transaction, _random);
                break;
            case 4 when _later.Count > 0:
                var at = _random.Next(_later.Count);
                var (worker, action) = _later[at];
                if (worker is { Context.IsPaused: true })
                    break;
                _later.RemoveAt(at);
                action();
                break;
            case 5:
                _clock.Advance(TimeSpan.FromMilliseconds(200));
                TakeFreeLease();
                break;
        }
    }

    private void Fault()
    {
        var worker = _workers[_random.Next(Workers)];
        switch (_random.Next(6))
        {
            case 0 when _broker.Consumers.Count > 0:
                // The broker closes a connection.
                _broker.End(_broker.Consumers[_random.Next(_broker.Consumers.Count)]);
                break;
            case 1 when _lease is not null:
                _lease = null; // The lease ends, and its holder does not know it yet.
                break;
            case 2 when worker.IsHolding && _lease != worker && !worker.Context.IsPaused:
                worker.Abandon(); // It learns of it.
                break;
            case 3 when worker.IsHolding && !worker.Context.IsPaused:
                worker.Leave();
                break;
            case 4:
                worker.Context.IsPaused = !worker.Context.IsPaused;
                break;
            case 5 when worker.Context.IsPaused && _lease == worker:
                _lease = null;
                _database.EndSessions(worker);
                break;
        }
    }

    private void TakeFreeLease()
    {
        var worker = _workers[_random.Next(Workers)];
        if (_lease is not null && !_lease.IsHolding)
            _lease = null; // Its holder gave the lane up and lets the lease run out.
        if (_lease is not null || worker.IsHolding || worker.Context.IsPaused)
            return;
        _lease = worker;
        worker.Hold();
    }
}

/// <summary>One worker process: it holds the lane, or it does not.</summary>
internal sealed class ModelWorker(LaneModel model, ModelScheduler.ModelContext context)
    : ILaneLinks,
        ILaneWork,
        ILanePublisher
{
    private Lane? _lane;
    private int _tenure;

    public ModelScheduler.ModelContext Context => context;

    public bool IsHolding => _lane is not null;

    public void Hold()
    {
        _tenure++;
        context.Run(() =>
            _lane = new Lane(0, model.Options, this, this, this, metrics: null, model.Clock, NullLogger.Instance)
        );
    }

    public void Leave() => context.Run(() => _ = LeaveAsync());

    public void Abandon() => context.Run(() => _ = AbandonAsync());

    public async Task<ILaneLink> OpenAsync(int lane, ushort prefetch, CancellationToken cancellation)
    {
        var tenure = _tenure;
        return await model.LaterAsync(this, "open", () => model.Broker.Subscribe(this, tenure, prefetch));
    }

    public Task<bool> CanConnectAsync(CancellationToken cancellation) => Task.FromResult(true);

    public async Task<IReadOnlyList<WireMessage>> ApplyAsync(
        int lane,
        IReadOnlyList<Delivery> batch,
        CancellationToken given
    )
    {
        model.Began(given);
        await model.Database.ApplyAsync(this, [.. batch.Select(x => int.Parse(x.RoutingKey))], given);
        return [.. batch.Select(x => new WireMessage("", x.RoutingKey, Guid.Empty, default, Mandatory: false))];
    }

    public async Task PublishAsync(int lane, IReadOnlyList<WireMessage> messages, CancellationToken given)
    {
        foreach (var message in messages)
        {
            given.ThrowIfCancellationRequested();
            await model.LaterAsync(
                this,
                "publish",
                () =>
                {
                    model.Published(int.Parse(message.RoutingKey));
                    return true;
                }
            );
        }
    }

    private async Task LeaveAsync()
    {
        var (lane, tenure) = (_lane!, _tenure);
        if (await lane.LeaveAsync() && _lane == lane)
            model.Release(this, tenure);
        if (_lane == lane)
            _lane = null;
    }

    private async Task AbandonAsync()
    {
        var lane = _lane!;
        await lane.AbandonAsync();
        if (_lane == lane)
            _lane = null;
    }
}
