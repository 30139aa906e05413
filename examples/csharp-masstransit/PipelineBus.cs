using System.Threading.Channels;
using MassTransit;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Storyboards;
using RabbitMQ.Client;

namespace PipelineExamples;

/// <summary>A bus that sends commands through exchanges of its own and listens to one project's events.</summary>
/// <remarks>
/// MassTransit declares whatever it sends to or binds, and a foreign service may declare only what is called
/// <c>client-…</c>. So it has exchanges and queues of its own, and RabbitMQ.Client binds those to the pipeline's.
/// </remarks>
internal sealed class PipelineBus : IAsyncDisposable
{
    private static readonly string[] Commands = ["define-scenes", "generate-storyboard"];

    // Without any event for so long, the pipeline is down or has nothing for us.
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromMinutes(2);

    private readonly Channel<object> _inbox = System.Threading.Channels.Channel.CreateUnbounded<object>();
    private readonly List<(string Queue, string Event)> _queues = [];
    private readonly Guid _projectId;
    private readonly IBusControl _bus;

    private PipelineBus(Uri broker, Guid projectId)
    {
        _projectId = projectId;
        _bus = Bus.Factory.CreateUsingRabbitMq(bus =>
        {
            bus.Host(broker);
            bus.OverrideDefaultBusEndpointQueueName($"client-masstransit-bus-{projectId}");
            Listen<ScenesDefined>(bus, "scenes-defined");
            Listen<ImageGenerated>(bus, "image-generated");
            Listen<GenerationEnded>(bus, "generation-ended");
            Listen<StoryboardCompleted>(bus, "storyboard-completed");
            Listen<CommandRejected>(bus, "command-rejected");
            Listen<CommandFailed>(bus, "command-failed");
        });
    }

    public static async Task<PipelineBus> StartAsync(Uri broker, Guid projectId)
    {
        var pipeline = new PipelineBus(broker, projectId);
        await pipeline._bus.StartAsync(); // Makes the queues.
        await pipeline.BindAsync(broker); // Before anything is sent, or the first events would be missed.
        return pipeline;
    }

    /// <summary>Returns once the broker has the command on disk.</summary>
    /// <remarks>
    /// Await it before the next one: that is what keeps their order. After a lost connection, send again from the first
    /// unconfirmed one, under the same ids: a repeated command takes effect once.
    /// </remarks>
    /// <exception cref="MessageReturnedException">No queue is bound for it.</exception>
    public async Task SendAsync<T>(string name, T command, Guid commandId)
        where T : class
    {
        var endpoint = await _bus.GetSendEndpoint(new Uri($"exchange:{OwnExchange(name)}"));
        await endpoint.Send(
            command,
            context =>
            {
                context.MessageId = commandId;
                var amqp = context.GetPayload<RabbitMqSendContext>();
                amqp.Mandatory = true;
                amqp.RoutingKey = _projectId.ToString("D"); // Decides the lane.
            }
        );
    }

    /// <summary>The event that answers this command. Events may come twice; whoever counts them compares their message id.</summary>
    public async Task<T> WaitForAsync<T>(Guid commandId, Func<T, Guid> commandOf)
    {
        while (true)
        {
            switch (await NextAsync())
            {
                case T wanted when commandOf(wanted) == commandId:
                    return wanted;
                case ImageGenerated saved:
                    Console.WriteLine($"  picture {saved.ImageId} is saved");
                    break;
                case GenerationEnded ended:
                    Console.WriteLine($"  no picture for {ended.CommandId}: {ended.Outcome}, {ended.Reason}");
                    break;
                case CommandRejected rejected when rejected.CommandId == commandId:
                    throw new FailedException($"{rejected.Command} is rejected: {rejected.Reason}");
                case CommandFailed failed when failed.CommandId == commandId:
                    throw new FailedException($"{failed.Command} has failed: {failed.Reason}");
            }
        }
    }

    public async ValueTask DisposeAsync() => await _bus.StopAsync();

    private static string OwnExchange(string command) => $"client-masstransit-{command}";

    /// <summary>A queue for one event: with one type behind it, plain JSON needs no type of MassTransit's.</summary>
    private void Listen<T>(IRabbitMqBusFactoryConfigurator bus, string name)
        where T : class
    {
        var queue = $"client-masstransit-{name}-{_projectId}";
        _queues.Add((queue, name));
        bus.ReceiveEndpoint(
            queue,
            endpoint =>
            {
                endpoint.AutoDelete = true; // A service keeps durable queues for as long as it lives.
                endpoint.ConfigureConsumeTopology = false;
                endpoint.PublishFaults = false;
                endpoint.UseRawJsonDeserializer(RawSerializerOptions.AnyMessageType);
                endpoint.Handler<T>(context => _inbox.Writer.WriteAsync(context.Message).AsTask());
            }
        );
    }

    private async Task BindAsync(Uri broker)
    {
        await using var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        foreach (var command in Commands)
        {
            await channel.ExchangeDeclareAsync(OwnExchange(command), ExchangeType.Fanout, durable: true);
            await channel.ExchangeBindAsync(command, OwnExchange(command), routingKey: "");
        }

        foreach (var (queue, name) in _queues)
            await channel.QueueBindAsync(queue, name, _projectId.ToString("D"));
    }

    private async Task<object> NextAsync()
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
    }
}

/// <summary>What the user should read; no stack.</summary>
internal sealed class FailedException(string message) : Exception(message);
