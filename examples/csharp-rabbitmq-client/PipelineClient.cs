using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace PipelineExamples;

/// <summary>One channel with confirms, and a queue of our own for one project's events.</summary>
internal sealed class PipelineClient : IAsyncDisposable
{
    private static readonly string[] Events =
    [
        "scenes-defined",
        "image-generated",
        "generation-ended",
        "storyboard-completed",
        "command-rejected",
        "command-failed",
    ];

    // Without any event for so long, the pipeline is down or has nothing for us.
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromMinutes(2);

    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private readonly string _queue;

    // What came and is not looked at yet; the prefetch bounds it, because nothing is acknowledged before.
    private readonly Channel<BasicDeliverEventArgs> _inbox = Channel.CreateUnbounded<BasicDeliverEventArgs>();

    private PipelineClient(IConnection connection, IChannel channel, Guid projectId)
    {
        (_connection, _channel, ProjectId) = (connection, channel, projectId);
        _queue = $"client-csharp-{projectId}";
        channel.ChannelShutdownAsync += (_, reason) =>
        {
            _inbox.Writer.TryComplete(new FailedException($"the channel is closed: {reason.ReplyText}"));
            return Task.CompletedTask;
        };
    }

    public Guid ProjectId { get; }

    public static async Task<PipelineClient> ConnectAsync(Uri broker, Guid projectId)
    {
        var factory = new ConnectionFactory { Uri = broker, ClientProvidedName = "pipeline example" };
        var connection = await factory.CreateConnectionAsync();
        var channel = await connection.CreateChannelAsync(
            new CreateChannelOptions(
                publisherConfirmationsEnabled: true,
                publisherConfirmationTrackingEnabled: true // BasicPublishAsync then ends with the broker's confirm.
            )
        );
        var client = new PipelineClient(connection, channel, projectId);
        await client.ListenAsync();
        return client;
    }

    /// <summary>Returns the command's id once the broker has the command on disk.</summary>
    /// <remarks>
    /// Await it before the next one: that is what keeps their order. Unawaited publishes of RabbitMQ.Client 7.1 overtake
    /// each other. After a lost connection, send again from the first unconfirmed one, under the same ids: a repeated
    /// command takes effect once.
    /// </remarks>
    /// <exception cref="RabbitMQ.Client.Exceptions.PublishException">No queue is bound for it, or the broker refused it.</exception>
    public async Task<Guid> PublishAsync(string name, JsonObject command)
    {
        var id = Guid.NewGuid();
        command["commandId"] = id;
        command["projectId"] = ProjectId;
        var about = new BasicProperties
        {
            Type = name,
            MessageId = id.ToString(),
            ContentType = "application/json",
            DeliveryMode = DeliveryModes.Persistent,
        };
        var body = JsonSerializer.SerializeToUtf8Bytes(command);
        await _channel.BasicPublishAsync(name, ProjectId.ToString(), mandatory: true, about, body);
        return id;
    }

    /// <summary>The event of this name that answers this command. Events may come twice; whoever counts them compares their message id.</summary>
    public async Task<JsonElement> WaitForAsync(string name, Guid commandId)
    {
        while (true)
        {
            var delivery = await NextAsync();
            var type = delivery.BasicProperties.Type;
            var content = JsonElement.Parse(delivery.Body.Span);
            if (type == "image-generated")
                Console.WriteLine($"  picture {content.GetProperty("imageId")} is saved");
            if (type == "generation-ended")
                Console.WriteLine(
                    $"  no picture for {content.GetProperty("commandId")}: {content.GetProperty("reason")}"
                );
            // After the work: what is not acknowledged comes again.
            await _channel.BasicAckAsync(delivery.DeliveryTag, multiple: false);
            if (content.GetProperty("commandId").GetGuid() != commandId)
                continue;
            if (type is "command-rejected" or "command-failed")
                throw new FailedException($"{content.GetProperty("command")} {type}: {content.GetProperty("reason")}");
            if (type == name)
                return content;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_channel.IsOpen)
            await _channel.QueueDeleteAsync(_queue);
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }

    private async Task ListenAsync()
    {
        // A service keeps one durable queue for as long as it lives. This one goes an hour after the last reader.
        var expires = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-expires"] = 3_600_000 };
        await _channel.QueueDeclareAsync(_queue, durable: true, exclusive: false, autoDelete: false, expires);
        // Bound before anything is published, or the first events would be missed.
        foreach (var name in Events)
            await _channel.QueueBindAsync(_queue, name, ProjectId.ToString());
        await _channel.BasicQosAsync(prefetchSize: 0, prefetchCount: 100, global: false);
        var consumer = new AsyncEventingBasicConsumer(_channel);
        consumer.ReceivedAsync += async (_, delivery) =>
        {
            // The client reuses the body's memory when this returns.
            var copy = new BasicDeliverEventArgs(
                delivery.ConsumerTag,
                delivery.DeliveryTag,
                delivery.Redelivered,
                delivery.Exchange,
                delivery.RoutingKey,
                delivery.BasicProperties,
                delivery.Body.ToArray()
            );
            await _inbox.Writer.WriteAsync(copy);
        };
        await _channel.BasicConsumeAsync(_queue, autoAck: false, consumer);
    }

    private async Task<BasicDeliverEventArgs> NextAsync()
    {
        using var silence = new CancellationTokenSource(SilenceLimit);
        try
        {
            return await _inbox.Reader.ReadAsync(silence.Token);
        }
        catch (OperationCanceledException)
        {
            throw new FailedException($"no event for {SilenceLimit.TotalSeconds} s");
        }
        catch (ChannelClosedException e)
        {
            throw new FailedException(e.InnerException?.Message ?? e.Message);
        }
    }
}

/// <summary>What the user should read; no stack.</summary>
internal sealed class FailedException(string message) : Exception(message);
