using System.Runtime.CompilerServices;
using MassTransit;
using MassTransit.RabbitMqTransport;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// The outermost filter of a lane: gives each delivery its place before MassTransit reads it, and sees to it that the
/// place is left again, whatever becomes of the message.
/// </summary>
internal sealed class LanePlaceFilter(Func<IChannel, LaneSequencer> create) : IFilter<ReceiveContext>
{
    private readonly Lock _lock = new();
    private readonly ConditionalWeakTable<IChannel, LaneSequencer> _sequencers = [];

    /// <summary>The sequencer of the channel that came last; null before the first delivery.</summary>
    public LaneSequencer? Latest { get; private set; }

    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        var channel = context.GetPayload<ChannelContext>().Channel;
        var tag = context.GetPayload<RabbitMqBasicConsumeContext>().DeliveryTag;
        var sequencer = SequencerOf(channel);
        var ticket = sequencer.Open(tag);
        context.AddOrUpdatePayload(() => ticket, _ => ticket);

        // MassTransit cancels the delivery when its channel is lost.
        await using var lost = context.CancellationToken.Register(sequencer.Abandon);
        try
        {
            await next.Send(context);
        }
        finally
        {
            ticket.Leave();
        }
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("lane-place");

    private LaneSequencer SequencerOf(IChannel channel)
    {
        lock (_lock)
        {
            if (_sequencers.TryGetValue(channel, out var known))
                return known;

            var sequencer = create(channel);
            _sequencers.Add(channel, sequencer);
            Latest = sequencer;
            return sequencer;
        }
    }
}

/// <summary>Writes the receipt of a message that could not be read, before it is moved to the dead letters.</summary>
internal sealed class LaneUnreadableFilter(int lane, ILogger logger)
    : IFilter<ExceptionReceiveContext>,
        IFilter<ReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        UnreadableCommand.KeepExchange(context);
        await RefuseAsync(context, context.Exception);
        // Without this MassTransit would take the message for one that nobody wanted, and move it a second time.
        await context.NotifyFaulted(context.Exception);
        await next.Send(context);
    }

    /// <summary>No consumer wanted it: a known message, but no lane command.</summary>
    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        await RefuseAsync(context, error: null);
        await next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("lane-unreadable");

    private async Task RefuseAsync(ReceiveContext context, Exception? error)
    {
        var ticket = context.GetPayload<LaneTicket>();
        if (ticket.IsSettled)
            return;

        const string Unwanted = "The message's type is not a lane command.";
        LaneLog.MessageUnreadable(logger, lane, error?.Message ?? Unwanted);
        if (UnreadableCommand.Of(context, error, Unwanted) is { } unread)
            await ticket.ApplyAsync(LaneEntry.Unreadable(unread));
    }
}
