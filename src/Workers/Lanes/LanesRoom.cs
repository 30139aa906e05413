using Npgsql;
using Pipeline.Contracts;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>All that the host needs to know of the lanes.</summary>
internal static class LanesRoom
{
    // Longer than any message waits between two deliveries.
    private static readonly TimeSpan SuspicionLength = TimeSpan.FromDays(7);

    public static LaneOptions ReadOptions(IConfiguration configuration)
    {
        var options = configuration.GetSection(LaneOptions.Section).Get<LaneOptions>() ?? new LaneOptions();
        options.Validate();
        return options;
    }

    /// <summary>Adds the lanes. Call it after the bus: hosted services stop in reverse, and lanes must stop first.</summary>
    public static void AddLanes(this IServiceCollection services, LaneOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton<LaneMetrics>();
        services.AddSingleton<LaneWriter>();
        services.AddSingleton<LaneSuspects>();
        services.AddSingleton(new RetentionRule("lane_suspects", "t.started_at < $1", SuspicionLength));
        services.AddSingleton<LaneApplier>();
        services.AddSingleton<LaneReader>();
        services.AddSingleton<ILaneWork, LaneWork>();
        services.AddSingleton<ILanePublisher, LanePublisher>();
        services.AddSingleton<ILaneLinks, LaneLinks>();
        services.AddSingleton<LaneLeases>();
        services.AddSingleton<ILaneLeases>(provider => provider.GetRequiredService<LaneLeases>());
        services.AddSingleton<Func<int, ILane>>(provider =>
            lane =>
                ActivatorUtilities.CreateInstance<Lane>(provider, lane, provider.GetRequiredService<ILogger<Lane>>())
        );
        services.AddHostedService<LaneBalancer>();
    }

    /// <summary>Makes exchanges, queues and lane rows before anything consumes or publishes.</summary>
    public static async Task PrepareAsync(IServiceProvider services, CancellationToken cancellation)
    {
        var options = services.GetRequiredService<LaneOptions>();
        await services.GetRequiredService<LaneLeases>().PrepareAsync(cancellation);

        var factory = new ConnectionFactory
        {
            Uri = services.GetRequiredService<MessagingOptions>().Broker,
            ClientProvidedName = "pipeline-workers topology",
        };
        await using var connection = await factory.CreateConnectionAsync(cancellation);
        await using var channel = await connection.CreateChannelAsync(cancellationToken: cancellation);
        var commands = services.GetServices<ILaneHandler>().Select(x => x.CommandType).ToArray();
        await LaneTopology.DeclareAsync(channel, options.Count, commands, cancellation);
        var queues = services.GetServices<WorkQueue>().ToArray();
        foreach (var queue in queues)
            await QueueTopology.DeclareAsync(channel, queue, cancellation);
        await services
            .GetRequiredService<NpgsqlDataSource>()
            .RecordQueuesAsync(
                [.. Enumerable.Range(0, options.Count).Select(WireNames.LaneQueue), .. queues.Select(x => x.Name)],
                cancellation
            );
        await EventTopology.DeclareAsync(channel, EventTopology.Events, cancellation);
    }
}
