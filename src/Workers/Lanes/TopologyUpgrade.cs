using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>Compares the queues on the broker with those that this version declares.</summary>
internal static class TopologyUpgrade
{
    /// <summary>Refuses a broker with more lanes than <c>Lanes__Count</c> says.</summary>
    /// <exception cref="InvalidOperationException">Says which lane, and what to do.</exception>
    public static Task RequireKnownLanesAsync(IServiceProvider services, CancellationToken cancellation) =>
        ConnectedAsync(
            services,
            connection => LaneTopology.RequireNoMoreAsync(connection, Lanes(services), cancellation),
            cancellation
        );

    /// <inheritdoc cref="QueueUpgrade.CheckAsync"/>
    public static Task CheckAsync(IServiceProvider services, CancellationToken cancellation) =>
        ConnectedAsync(
            services,
            connection => new QueueUpgrade(connection, Clock(services)).CheckAsync(Groups(services), cancellation),
            cancellation
        );

    /// <inheritdoc cref="QueueUpgrade.ApplyAsync"/>
    public static async Task<IReadOnlyList<string>> ApplyAsync(
        IServiceProvider services,
        CancellationToken cancellation
    )
    {
        IReadOnlyList<string> deleted = [];
        await ConnectedAsync(
            services,
            async connection =>
                deleted = await new QueueUpgrade(connection, Clock(services)).ApplyAsync(
                    Groups(services),
                    cancellation
                ),
            cancellation
        );
        return deleted;
    }

    private static IEnumerable<QueueGroup> Groups(IServiceProvider services) =>
        services
            .GetServices<WorkQueue>()
            .Select(QueueTopology.GroupOf)
            .Append(
                LaneTopology.GroupOf(Lanes(services), services.GetServices<ILaneHandler>().Select(x => x.CommandType))
            );

    private static int Lanes(IServiceProvider services) => services.GetRequiredService<LaneOptions>().Count;

    private static TimeProvider Clock(IServiceProvider services) => services.GetRequiredService<TimeProvider>();

    private static async Task ConnectedAsync(
        IServiceProvider services,
        Func<IConnection, Task> action,
        CancellationToken cancellation
    )
    {
        var factory = new ConnectionFactory
        {
            Uri = services.GetRequiredService<MessagingOptions>().Broker,
            ClientProvidedName = "pipeline-workers upgrade",
        };
        await using var connection = await factory.CreateConnectionAsync(cancellation);
        await action(connection);
    }
}
