using MassTransit;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>The queue of one kind of command.</summary>
/// <typeparam name="T">The command.</typeparam>
/// <param name="Concurrency">Commands at once in one worker.</param>
internal sealed record CommandQueue<T>(int Concurrency)
    where T : class
{
    /// <summary>A queue that other commands share, which its slice registers; null for one of the command's own name.</summary>
    public string? SharedName { get; init; }

    /// <summary>Unanswered deliveries at once in one worker; null for what suits the concurrency.</summary>
    public int? Prefetch { get; init; }

    /// <summary>What passes within seconds besides the database's own contention; null for nothing.</summary>
    public Func<Exception, bool>? Passes { get; init; }

    /// <summary>Retries for servers that are no database and may be away for minutes; null for none.</summary>
    public Action<IRetryConfigurator>? Retries { get; init; }
}

/// <summary>How slices register commands.</summary>
internal static class CommandQueues
{
    /// <summary>Adds the handler and the queue of a command, with retries and with the receipt of what no retry helps.</summary>
    /// <param name="bus">The slice's.</param>
    /// <param name="queue">Reads what the queue is like from the slice's options.</param>
    /// <param name="sharedName">As <see cref="CommandQueue{T}.SharedName"/>.</param>
    public static void AddCommand<T, THandler>(
        this IBusRegistrationConfigurator bus,
        Func<IServiceProvider, CommandQueue<T>> queue,
        string? sharedName = null
    )
        where T : class
        where THandler : class, ICommandHandler<T>
    {
        bus.AddSingleton<ICommandHandler<T>, THandler>();
        bus.AddSingleton(provider => queue(provider) with { SharedName = sharedName });
        if (sharedName is null)
            bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<T>()));
        bus.AddConsumer<CommandConsumer<T>, CommandConsumerDefinition<T>>();
    }
}

/// <summary>Hands a delivery to the handler of its command.</summary>
internal sealed class CommandConsumer<T>(ICommandHandler<T> handler, CommandRunner runner, CommandContents contents)
    : IConsumer<T>
    where T : class
{
    public Task Consume(ConsumeContext<T> context)
    {
        var request = contents.RequestOf(context.Message, Delivery.Of(context.ReceiveContext))!;
        return handler.HandleAsync(runner, request, context.Message, context.CancellationToken);
    }
}

internal sealed class CommandConsumerDefinition<T> : ConsumerDefinition<CommandConsumer<T>>
    where T : class
{
    private readonly CommandQueue<T> _queue;

    public CommandConsumerDefinition(CommandQueue<T> queue)
    {
        _queue = queue;
        EndpointName = queue.SharedName ?? WireNames.ExchangeOf<T>();
        ConcurrentMessageLimit = queue.Concurrency;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<CommandConsumer<T>> consumerConfigurator,
        IRegistrationContext context
    )
    {
        if (_queue.Prefetch is { } prefetch)
            endpointConfigurator.PrefetchCount = prefetch;
        DatabaseRetries.Configure(consumerConfigurator, _queue.Passes);
        if (_queue.Retries is { } retries)
            consumerConfigurator.UseMessageRetry(retries);
    }
}
