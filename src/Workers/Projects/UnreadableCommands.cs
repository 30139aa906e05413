using System.Runtime.Serialization;
using MassTransit;
using MassTransit.Middleware;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Projects;

/// <summary>
/// Stands before the dead letters of every queue that is no lane: a command that could not be read gets its receipt
/// first. While the database is away the message waits here, since nothing could be recorded.
/// </summary>
internal sealed partial class UnreadableCommandFilter(
    CommandRefusal refusal,
    TimeProvider clock,
    ILogger<UnreadableCommandFilter> logger
) : IFilter<ExceptionReceiveContext>, IFilter<ReceiveContext>
{
    // Well below RabbitMQ's consumer time-out of 30 minutes, which would close the channel with all its messages.
    private static readonly TimeSpan OutageLimit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(2);

    public async Task Send(ExceptionReceiveContext context, IPipe<ExceptionReceiveContext> next)
    {
        UnreadableCommand.KeepExchange(context);
        // What a consumer could not carry out is its slice's to answer.
        if (context.Exception is SerializationException)
            await RefuseAsync(context, context.Exception);
        await next.Send(context);
    }

    /// <summary>No consumer wanted it: a known message, but not this queue's.</summary>
    public async Task Send(ReceiveContext context, IPipe<ReceiveContext> next)
    {
        await RefuseAsync(context, error: null);
        await next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("unreadable-command");

    private async Task RefuseAsync(ReceiveContext context, Exception? error)
    {
        var unread = UnreadableCommand.Of(
            Delivery.Of(context),
            error,
            "The message's type is not one that this queue takes."
        );
        if (unread is null || !MessageCatalog.TryFind(unread.Name, out var contract) || !contract.IsCommand)
            return;

        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                await refusal.RefuseAsync(unread, context.CancellationToken);
                Refused(unread.Name, unread.CommandId, unread.Reason);
                return;
            }
            catch (Exception e)
                when ((Transience.IsOutage(e) || Transience.IsContention(e))
                    && clock.GetElapsedTime(started) < OutageLimit
                )
            {
                DatabaseAway(unread.Name, unread.CommandId, e.Message);
                await Task.Delay(OutagePause, clock, context.CancellationToken);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Command} {CommandId} is rejected unread: {Reason}")]
    private partial void Refused(string command, Guid commandId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Command} {CommandId} waits for the database: {Error}")]
    private partial void DatabaseAway(string command, Guid commandId, string error);
}

/// <summary>Puts the filter before the dead letters of the slices' queues.</summary>
internal static class UnreadableCommands
{
    public static void AddRefusals(this IBusRegistrationConfigurator bus)
    {
        bus.AddSingleton<CommandRefusal>();
        bus.AddSingleton<UnreadableCommandFilter>();
        bus.AddConfigureEndpointsCallback(
            (context, _, endpoint) =>
            {
                var filter = context.GetRequiredService<UnreadableCommandFilter>();
                endpoint.ConfigureError(x =>
                {
                    x.UseFilter(filter);
                    x.UseFilter(new GenerateFaultFilter()); // These two are what MassTransit has by itself.
                    x.UseFilter(new ErrorTransportFilter());
                });
                endpoint.ConfigureDeadLetter(x =>
                {
                    x.UseFilter(filter);
                    x.UseFilter(new DeadLetterTransportFilter());
                });
            }
        );
    }
}
