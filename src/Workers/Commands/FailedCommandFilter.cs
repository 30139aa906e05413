using System.Runtime.ExceptionServices;
using System.Runtime.Serialization;
using MassTransit;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Commands;

/// <summary>
/// Stands before the dead letters of every queue that is no lane. A command whose message ends there gets its receipt
/// first: <c>rejected</c> where it could not be read, <c>failed</c> where its consumer could not carry it out. While
/// the database is away the message waits here, since nothing could be recorded.
/// </summary>
internal sealed class FailedCommandFilter(CommandFailures failures)
    : IFilter<ExceptionReceiveContext>,
        IFilter<ReceiveContext>
{
    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        // The process stops, and that is no failure of the command: with this error the broker delivers it again.
        context.CancellationToken.ThrowIfCancellationRequested();
        var delivery = Delivery.Of(context);
        // The database was away for longer than the retries last. Without the copy the command would have no receipt,
        // so the broker delivers the copy again.
        if (delivery.Queue == DeadLetterCopy.Queue)
            ExceptionDispatchInfo.Throw(context.Exception);
        if (context.Exception is SerializationException)
            await failures.RefuseAsync(delivery, context.Exception, context.CancellationToken);
        else
            await failures.FailAsync(delivery, CommandFailures.Describe(context.Exception), context.CancellationToken);
        var moved = new FailedDelivery(context);
        UnreadableCommand.KeepExchange(moved);
        await next.Send(moved);
    }

    /// <summary>No consumer wanted it: a known message, but not this queue's.</summary>
    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        await failures.RefuseAsync(Delivery.Of(context), error: null, context.CancellationToken);
        await next.Send(new UnwantedDelivery(context));
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("failed-command");
}
