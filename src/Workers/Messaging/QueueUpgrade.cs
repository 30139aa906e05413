using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers.Messaging;

/// <summary>Queues that are declared anew together or not at all.</summary>
/// <param name="Names">Must be empty and unused before any of the queues may be deleted.</param>
/// <param name="Queues">As this version declares them.</param>
internal sealed record QueueGroup(IReadOnlyList<string> Names, IReadOnlyList<DeclaredQueue> Queues)
{
    /// <summary>An exchange that leads to the queues, beside the exchange of each one's own name; null for none.</summary>
    public string? Exchange { get; init; }

    /// <summary>Exchanges that are bound to it, through which messages come while the queues are in use.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];
}

/// <summary>
/// Deletes queues that another version has declared with other arguments, when they are empty and unused, so that they
/// can be declared anew: the broker changes no argument of a queue that exists.
/// </summary>
/// <remarks>
/// Quorum queues do not support the flags if-unused and if-empty of queue.delete (540 NOT_IMPLEMENTED). So the bindings
/// are removed first, and the queues are counted when nothing can be routed to them any more.
/// </remarks>
internal sealed class QueueUpgrade(IConnection connection, TimeProvider clock)
{
    // A message that was routed just before its binding was removed has reached its queue after so long.
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(1);

    /// <summary>Refuses where a queue has to be declared anew and cannot be. Changes nothing.</summary>
    /// <exception cref="QueueInUseException">Names every queue that is in the way, and says what to do.</exception>
    public async Task CheckAsync(IEnumerable<QueueGroup> groups, CancellationToken cancellation) =>
        await PlanAsync(groups, cancellation);

    /// <summary>Deletes outdated queues. Publishers get "unroutable" from here until they are declared anew.</summary>
    /// <returns>The names of those that were deleted.</returns>
    /// <exception cref="QueueInUseException">Nothing was deleted, and the bindings are as they were.</exception>
    public async Task<IReadOnlyList<string>> ApplyAsync(IEnumerable<QueueGroup> groups, CancellationToken cancellation)
    {
        var (outdated, affected) = await PlanAsync(groups, cancellation);
        if (outdated.Count == 0)
            return [];

        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        await UnbindAsync(channel, outdated, affected, cancellation);
        await Task.Delay(SettleTime, clock, cancellation);
        try
        {
            await RequireUnusedAsync(outdated.Concat(affected.SelectMany(x => x.Names)), cancellation);
        }
        catch (QueueInUseException)
        {
            await BindAsync(channel, outdated, affected, cancellation);
            throw;
        }

        foreach (var queue in outdated)
            await channel.QueueDeleteAsync(queue, ifUnused: false, ifEmpty: false, cancellationToken: cancellation);
        return outdated;
    }

    /// <summary>Finds the outdated queues with their groups, and refuses where they are in use.</summary>
    private async Task<(IReadOnlyList<string> Outdated, IReadOnlyList<QueueGroup> Groups)> PlanAsync(
        IEnumerable<QueueGroup> groups,
        CancellationToken cancellation
    )
    {
        var outdated = new List<string>();
        var affected = new List<QueueGroup>();
        foreach (var group in groups)
        {
            var count = outdated.Count;
            foreach (var queue in group.Queues)
            {
                if (await IsOutdatedAsync(queue, cancellation))
                    outdated.Add(queue.Name);
            }

            if (outdated.Count > count)
                affected.Add(group);
        }

        await RequireUnusedAsync(outdated.Concat(affected.SelectMany(x => x.Names)), cancellation);
        return (outdated, affected);
    }

    private async Task<bool> IsOutdatedAsync(DeclaredQueue queue, CancellationToken cancellation)
    {
        if (await QueueState.ReadAsync(connection, queue.Name, cancellation) is null)
            return false;
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        try
        {
            await queue.DeclareAsync(channel, cancellation);
            return false;
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.PreconditionFailed)
        {
            return true;
        }
    }

    private async Task RequireUnusedAsync(IEnumerable<string> queues, CancellationToken cancellation)
    {
        var used = new List<string>();
        foreach (var queue in queues.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var state = await QueueState.ReadAsync(connection, queue, cancellation);
            if (state is { Messages: > 0 } or { Consumers: > 0 })
                used.Add($"{queue} ({state.Messages} messages, {state.Consumers} consumers)");
        }

        if (used.Count > 0)
            throw new QueueInUseException(used);
    }

    private static async Task UnbindAsync(
        IChannel channel,
        IEnumerable<string> queues,
        IEnumerable<QueueGroup> groups,
        CancellationToken cancellation
    )
    {
        foreach (var (exchange, source) in Bindings(groups))
        {
            // A command that the other version did not have has no exchange yet, and cannot be unbound.
            await channel.ExchangeDeclareAsync(
                source,
                ExchangeType.Fanout,
                durable: true,
                cancellationToken: cancellation
            );
            await channel.ExchangeUnbindAsync(exchange, source, routingKey: "", cancellationToken: cancellation);
        }

        foreach (var queue in queues)
            await channel.QueueUnbindAsync(queue, queue, routingKey: "", cancellationToken: cancellation);
    }

    private static async Task BindAsync(
        IChannel channel,
        IEnumerable<string> queues,
        IEnumerable<QueueGroup> groups,
        CancellationToken cancellation
    )
    {
        foreach (var queue in queues)
            await channel.QueueBindAsync(queue, queue, routingKey: "", cancellationToken: cancellation);
        foreach (var (exchange, source) in Bindings(groups))
            await channel.ExchangeBindAsync(exchange, source, routingKey: "", cancellationToken: cancellation);
    }

    private static IEnumerable<(string Exchange, string Source)> Bindings(IEnumerable<QueueGroup> groups) =>
        from g in groups
        where g.Exchange is not null
        from source in g.Sources
        select (g.Exchange, source);
}

/// <summary>Queues have to be declared anew, and hold messages or are consumed.</summary>
internal sealed class QueueInUseException(IEnumerable<string> queues)
    : InvalidOperationException(
        $"These queues must be declared anew and are in use: {string.Join(", ", queues)}. Nothing was changed. Stop the publishers, let the workers of the version that runs empty the queues, stop the workers, and run 'migrate' again (docs/operations.md, 'Upgrade')."
    );
