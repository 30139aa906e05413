using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.SystemTests.Harness;

/// <summary>Hears what generation sends, from its start on.</summary>
internal sealed class BoundaryListener(IConnection connection, IChannel channel, string all, string ends)
    : IAsyncDisposable
{
    private static readonly string[] Messages =
    [
        WireNames.ExchangeOf<RenderImage>(),
        WireNames.ExchangeOf<RenderSucceeded>(),
        WireNames.ExchangeOf<RenderFailed>(),
        WireNames.ExchangeOf<ImportImage>(),
    ];

    private static readonly string[] Ends =
    [
        WireNames.ExchangeOf<ImageGenerated>(),
        WireNames.ExchangeOf<GenerationEnded>(),
    ];

    public static string[] Exchanges => [.. Messages, .. Ends];

    /// <param name="broker">The pipeline's; its exchanges need not be there yet.</param>
    public static async Task<BoundaryListener> BeginAsync(Uri broker)
    {
        var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        var channel = await connection.CreateChannelAsync();
        var all = (await channel.QueueDeclareAsync($"listener-{Guid.NewGuid():N}", true, false, false)).QueueName;
        var ends = (await channel.QueueDeclareAsync($"listener-{Guid.NewGuid():N}", true, false, false)).QueueName;
        foreach (var exchange in Messages)
        {
            await channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true);
            await channel.QueueBindAsync(all, exchange, "");
        }

        foreach (var exchange in Ends)
        {
            await channel.ExchangeDeclareAsync(exchange, ExchangeType.Topic, durable: true);
            await channel.QueueBindAsync(all, exchange, "#");
            await channel.QueueBindAsync(ends, exchange, "#");
        }

        return new BoundaryListener(connection, channel, all, ends);
    }

    /// <summary>How many messages have come.</summary>
    public Task<uint> CountAsync() => channel.MessageCountAsync(all);

    /// <summary>The ends that requests were told, as often as they were.</summary>
    public async Task<List<(string MessageId, Guid CommandId)>> EndsAsync()
    {
        var heard = new List<(string, Guid)>();
        while (await channel.BasicGetAsync(ends, autoAck: true) is { } message)
        {
            var body = JsonElement.Parse(message.Body.Span);
            heard.Add((message.BasicProperties.MessageId!, body.GetProperty("commandId").GetGuid()));
        }

        return heard;
    }

    public async ValueTask DisposeAsync()
    {
        await channel.QueueDeleteAsync(all);
        await channel.QueueDeleteAsync(ends);
        await channel.DisposeAsync();
        await connection.DisposeAsync();
    }
}
