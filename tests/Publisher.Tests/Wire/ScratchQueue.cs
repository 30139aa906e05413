using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;

namespace Pipeline.Publisher.Tests.Wire;

/// <summary>An exchange with one queue behind it, of this test alone; both go when it ends.</summary>
internal sealed class ScratchQueue : IAsyncDisposable
{
    private readonly IConnection _connection;
    private readonly IChannel _channel;

    private ScratchQueue(IConnection connection, IChannel channel, string name)
    {
        _connection = connection;
        _channel = channel;
        Name = name;
    }

    public string Name { get; }

    public static async Task<ScratchQueue> DeclareAsync(bool bind = true, Dictionary<string, object?>? arguments = null)
    {
        var name = $"test-{Guid.NewGuid():N}";
        var factory = new ConnectionFactory { Uri = Servers.Broker, ClientProvidedName = name };
        var connection = await factory.CreateConnectionAsync();
        var channel = await connection.CreateChannelAsync();
        await channel.ExchangeDeclareAsync(name, ExchangeType.Fanout);
        await channel.QueueDeclareAsync(name, durable: true, exclusive: false, autoDelete: false, arguments);
        if (bind)
            await channel.QueueBindAsync(name, name, routingKey: "");
        return new ScratchQueue(connection, channel, name);
    }

    public WireMessage Message(Guid id, bool mandatory = true) => new(Name, "", id, "{}"u8.ToArray(), mandatory);

    public WireMessage[] Messages(int count) => [.. Enumerable.Range(0, count).Select(_ => Message(Guid.NewGuid()))];

    /// <summary>The ids of all messages in the queue, in its order.</summary>
    public async Task<List<Guid>> ReadAllAsync() =>
        [
            .. (await QueueDrain.DrainAsync(_connection, Name)).Select(x =>
                Guid.Parse(x.BasicProperties.MessageId ?? "")
            ),
        ];

    public async ValueTask DisposeAsync()
    {
        await _channel.QueueDeleteAsync(Name);
        await _channel.ExchangeDeleteAsync(Name);
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
