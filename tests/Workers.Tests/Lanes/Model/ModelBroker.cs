using System.Threading.Channels;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Tests.Lanes.Model;

/// <summary>
/// A quorum queue with single active consumer, as rabbit_fifo.erl has it: unacknowledged messages of a channel that
/// ends come back in their order before all others, and then the next consumer becomes the active one. A consumer that
/// is cancelled stops being active at once, but keeps its messages until its channel ends.
/// </summary>
internal sealed class ModelBroker(LaneModel model, int messages)
{
    private readonly SortedSet<int> _ready = [.. Enumerable.Range(1, messages)];
    private readonly List<ModelLink> _consumers = [];

    public bool IsEmpty => _ready.Count == 0 && _consumers.TrueForAll(x => x.Unacknowledged.Count == 0);

    public ModelLink Subscribe(ModelWorker worker, int tenure, ushort prefetch)
    {
        var link = new ModelLink(model, this, worker, tenure, prefetch);
        _consumers.Add(link);
        return link;
    }

    public ModelLink? Active => _consumers.Find(x => !x.IsCancelled);

    public IReadOnlyList<ModelLink> Consumers => _consumers;

    /// <summary>Whether the active consumer may be given a message now.</summary>
    public bool CanDeliver => _ready.Count > 0 && Active is { } active && active.Unacknowledged.Count < active.Prefetch;

    public void Deliver()
    {
        var message = _ready.Min;
        _ready.Remove(message);
        Active!.Take(message);
    }

    public void Acknowledge(ModelLink link, ulong upTo)
    {
        foreach (var tag in link.Unacknowledged.Keys.Where(x => x <= upTo).ToArray())
        {
            model.Acknowledged(link, link.Unacknowledged[tag]);
            link.Unacknowledged.Remove(tag);
        }
    }

    /// <summary>The channel's process is down.</summary>
    public void End(ModelLink link)
    {
        if (!_consumers.Remove(link))
            return;
        _ready.UnionWith(link.Unacknowledged.Values);
        link.Unacknowledged.Clear();
        link.Lose("closed");
    }
}

/// <summary>A lane's link to the model's queue. Where the model is a mutant, the link does what it must not.</summary>
internal sealed class ModelLink(LaneModel model, ModelBroker broker, ModelWorker worker, int tenure, ushort prefetch)
    : ILaneLink
{
    private static readonly BasicProperties NoProperties = new();

    // Synchronous continuations stay on the model's one thread.
    private readonly Channel<Delivery> _deliveries = Channel.CreateUnbounded<Delivery>(
        new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = true }
    );

    private readonly CancellationTokenSource _lost = new();
    private ulong _lastTag;

    public ModelWorker Worker => worker;

    /// <summary>The worker's tenure of the lane that the link belongs to.</summary>
    public int Tenure => tenure;

    public ushort Prefetch => prefetch;

    /// <summary>Messages by their tags.</summary>
    public SortedDictionary<ulong, int> Unacknowledged { get; } = [];

    /// <summary>Only a mutant cancels.</summary>
    public bool IsCancelled { get; set; }

    public ChannelReader<Delivery> Deliveries => _deliveries.Reader;

    public CancellationToken Lost => _lost.Token;

    public LinkLoss? Loss { get; private set; }

    public void Take(int message)
    {
        Unacknowledged[++_lastTag] = message;
        // The number of a message travels as its routing key.
        _deliveries.Writer.TryWrite(new Delivery("", _lastTag, "", message.ToString(), NoProperties, default));
    }

    /// <summary>The client learns that the link has ended.</summary>
    public void Lose(string reason)
    {
        if (Loss is not null)
            return;
        Loss = new LinkLoss(reason);
        // As soon as the worker runs.
        worker.Context.Post(
            _ =>
            {
                _lost.Cancel();
                _deliveries.Writer.TryComplete(new LinkLostException(Loss));
            },
            null
        );
    }

    public Task AcknowledgeAsync(ulong upTo, CancellationToken cancellation)
    {
        if (broker.Consumers.Contains(this))
            broker.Acknowledge(this, model.Mutant == Mutant.AcknowledgesTooMuch ? _lastTag : upTo);
        return Task.CompletedTask;
    }

    public async Task<bool> CloseAsync()
    {
        if (!broker.Consumers.Contains(this))
            return Loss is not null;
        if (model.Mutant == Mutant.CancelsBeforeClose)
            IsCancelled = true;
        if (model.Mutant == Mutant.ReleasesBeforeClose)
        {
            model.Later(() => broker.End(this));
            return true;
        }

        return await model.LaterAsync(
            worker,
            "close",
            () =>
            {
                broker.End(this);
                return true;
            }
        );
    }

    /// <summary>The socket ends; the broker notices it a little later.</summary>
    public ValueTask DisposeAsync()
    {
        if (broker.Consumers.Contains(this))
        {
            if (model.Mutant == Mutant.CancelsBeforeClose)
                IsCancelled = true;
            model.Later(() => broker.End(this));
        }

        return ValueTask.CompletedTask;
    }
}
