using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>One topic exchange an event: bind a queue with <c>#</c> for all of them, or with a project's id for its own.</summary>
internal static class EventTopology
{
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
