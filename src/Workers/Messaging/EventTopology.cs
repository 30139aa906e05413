using Pipeline.Contracts;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>One topic exchange an event: bind a queue with <c>#</c> for all of them, or with a project's id for its own.</summary>
internal static class EventTopology
{
    /// <summary>The contracts that are events: they say when it was.</summary>
    public static IReadOnlyList<Type> Events { get; } =
    [
        .. typeof(ILaneCommand)
            .Assembly.GetExportedTypes()
            .Where(x => x is { IsClass: true, IsAbstract: false } && x.GetProperty("At") is not null),
    ];

    public static async Task DeclareAsync(IChannel channel, IEnumerable<Type> events, CancellationToken cancellation)
    {
        foreach (var name in events.Select(WireNames.ExchangeOf))
        {
            await channel.ExchangeDeclareAsync(
                name,
                ExchangeType.Topic,
                durable: true,
                cancellationToken: cancellation
            );
        }
    }
}
