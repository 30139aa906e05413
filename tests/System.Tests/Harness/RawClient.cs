using System.Globalization;
using System.Text;
using RabbitMQ.Client;

namespace Pipeline.SystemTests.Harness;

/// <summary>A foreign service: RabbitMQ.Client alone, with every property under the test's control.</summary>
internal sealed class RawClient : IAsyncDisposable
{
    private readonly IConnection _connection;
    private readonly IChannel _channel;

    private RawClient(IConnection connection, IChannel channel)
    {
        _connection = connection;
        _channel = channel;
    }

    /// <summary>The AMQP <c>user_id</c> of what is published from now on; null for none. The broker takes the login's own.</summary>
    public string? UserId { get; set; }

    public static async Task<RawClient> ConnectAsync(Uri broker, bool saysWhoItIs = false)
    {
        var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        var confirms = new CreateChannelOptions(
            publisherConfirmationsEnabled: true,
            publisherConfirmationTrackingEnabled: true
        );
        return new RawClient(connection, await connection.CreateChannelAsync(confirms))
        {
            UserId = saysWhoItIs ? Uri.UnescapeDataString(broker.UserInfo.Split(':')[0]) : null,
        };
    }

    public async Task PublishAsync(
        string exchange,
        string routingKey,
        string body,
        string? messageId,
        string? type,
        string contentType = "application/json",
        Dictionary<string, object?>? headers = null,
        TimeSpan? expiresIn = null
    )
    {
        var properties = new BasicProperties
        {
            ContentType = contentType,
            DeliveryMode = DeliveryModes.Persistent,
            Headers = headers,
        };
        if (messageId is not null)
            properties.MessageId = messageId;
        if (type is not null)
            properties.Type = type;
        if (UserId is not null)
            properties.UserId = UserId;
        if (expiresIn is { } time)
            properties.Expiration = ((long)time.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        await _channel.BasicPublishAsync(
            exchange,
            routingKey,
            mandatory: true,
            properties,
            Encoding.UTF8.GetBytes(body)
        );
    }

    /// <summary>Binds a queue of its own to an event and returns its name.</summary>
    public async Task<string> ListenAsync(string exchange, string bindingKey = "#")
    {
        var queue = (await _channel.QueueDeclareAsync($"listener-{Guid.NewGuid():N}", true, false, false)).QueueName;
        await _channel.QueueBindAsync(queue, exchange, bindingKey);
        return queue;
    }

    /// <summary>Binds a queue to one more exchange.</summary>
    public Task BindAsync(string queue, string exchange) => _channel.QueueBindAsync(queue, exchange, "#");

    /// <summary>Declares an exchange of its own, and lets another one have what is published to it.</summary>
    public async Task BindExchangeAsync(string own, string destination)
    {
        await _channel.ExchangeDeclareAsync(own, ExchangeType.Fanout, durable: false, autoDelete: true);
        await _channel.ExchangeBindAsync(destination, own, routingKey: "");
    }

    /// <summary>Declares an exchange as the pipeline has it; fails where it has it otherwise.</summary>
    public Task DeclareAsync(string exchange, string type) =>
        _channel.ExchangeDeclareAsync(exchange, type, durable: true);

    /// <summary>Takes the next message off a queue; null when there is none.</summary>
    public Task<BasicGetResult?> GetAsync(string queue) => _channel.BasicGetAsync(queue, autoAck: true);

    public async ValueTask DisposeAsync()
    {
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
