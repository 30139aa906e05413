using System.Text;
using System.Text.Json;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Xunit;

namespace Pipeline.Publisher.Tests.DeadLetters;

/// <summary>Quorum queues with their dead letters, declared as the workers do; nobody consumes them.</summary>
public sealed class ScratchDesk : IAsyncLifetime
{
    private readonly ScratchServers _servers = new();
    private IConnection _connection = null!;
    private IChannel _channel = null!;

    public ScratchServers Servers => _servers;

    public async Task InitializeAsync()
    {
        await _servers.InitializeAsync();
        var broker = new Uri(_servers.Settings["Publisher:RabbitMq"]!);
        _connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        _channel = await _connection.CreateChannelAsync(new CreateChannelOptions(true, true));
        await DeclareAsync("record-dead-letter-actions");
    }

    public async Task DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        await _servers.DisposeAsync();
    }

    /// <summary>A queue of the pipeline, known to the publisher.</summary>
    /// <returns>Its name.</returns>
    public async Task<string> QueueAsync()
    {
        var queue = $"work-{Guid.NewGuid():N}";
        await DeclareAsync(queue);
        await _servers.SqlAsync("insert into pipeline.queues (name, declared_at) values ($1, now())", queue);
        return queue;
    }

    /// <summary>A lane behind the hash, and another queue that hears its commands.</summary>
    public async Task LaneAsync(string lane)
    {
        await DeclareAsync(lane);
        await _servers.SqlAsync("insert into pipeline.queues (name, declared_at) values ($1, now())", lane);
        await _channel.ExchangeDeclareAsync(WireNames.LanesExchange, "x-consistent-hash", durable: true);
        await _channel.QueueBindAsync(lane, WireNames.LanesExchange, "1");
        await _channel.ExchangeDeclareAsync("save-image", ExchangeType.Fanout, durable: true);
        await _channel.QueueDeclareAsync("also-bound-to-save-image", true, false, false);
        await _channel.QueueBindAsync("also-bound-to-save-image", "save-image", "");
        await _channel.QueueBindAsync("also-bound-to-save-image", lane, "");
    }

    /// <summary>Nothing leads into the queue any more.</summary>
    public Task UnbindAsync(string queue) => _channel.QueueUnbindAsync(queue, queue, "");

    /// <summary>Messages as MassTransit leaves them behind, each with its number as body.</summary>
    /// <returns>Their ids.</returns>
    public async Task<Guid[]> FailAsync(
        string queue,
        int count,
        string type = "save-image",
        string reason = "It broke.",
        Guid? project = null
    )
    {
        var ids = new Guid[count];
        await using var run = await ConfirmedRun.OpenAsync(_connection);
        for (var i = 0; i < count; i++)
        {
            ids[i] = Guid.NewGuid();
            await run.PublishAsync(
                WireNames.ErrorQueue(queue),
                (project ?? Guid.NewGuid()).ToString(),
                Dead(ids[i], type, reason),
                $$"""{"number":{{i}}}"""
            );
        }

        await run.ConfirmedAsync();
        return ids;
    }

    public static BasicProperties Dead(Guid id, string type, string reason) =>
        new()
        {
            MessageId = id.ToString(),
            Type = type,
            ContentType = "application/json",
            CorrelationId = "correlation",
            Persistent = true,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                ["x-mine"] = "stays",
                ["number"] = 42L,
                ["x-delivery-count"] = 3,
                ["MT-Reason"] = "fault",
                ["MT-Host-MachineName"] = "there",
                ["MT-Fault-ExceptionType"] = "Some.Where.BrokenException",
                ["MT-Fault-Message"] = reason,
                ["MT-Fault-Timestamp"] = "2026-01-31T12:00:00.0000000Z",
                ["MT-Fault-StackTrace"] = "   at Some.Where",
            },
        };

    public ValueTask PublishAsync(string exchange, string routingKey, BasicProperties properties, string body) =>
        PublishBytesAsync(exchange, routingKey, properties, Encoding.UTF8.GetBytes(body));

    public ValueTask PublishBytesAsync(string exchange, string routingKey, BasicProperties properties, byte[] body) =>
        _channel.BasicPublishAsync(exchange, routingKey, mandatory: true, properties, body);

    public Task<CliRun> RunAsync(params string[] args) => CliRun.OfAsync(_servers.Configuration, args);

    /// <summary>Takes everything out of a queue, in its order.</summary>
    public Task<List<BasicGetResult>> DrainAsync(string queue) => QueueDrain.DrainAsync(_connection, queue);

    public async Task<uint> CountAsync(string queue) => await _channel.MessageCountAsync(queue);

    private async Task DeclareAsync(string queue)
    {
        foreach (var name in WireNames.DeadLetterQueues(queue).Append(queue))
        {
            await _channel.ExchangeDeclareAsync(name, ExchangeType.Fanout, durable: true);
            var arguments = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = "quorum" };
            await _channel.QueueDeclareAsync(name, durable: true, exclusive: false, autoDelete: false, arguments);
            await _channel.QueueBindAsync(name, name, routingKey: "");
        }
    }
}

/// <summary>A run of a verb with its JSON.</summary>
public sealed record CliRun(int Status, IReadOnlyList<JsonElement> Objects, string Error)
{
    internal static async Task<CliRun> OfAsync(
        Microsoft.Extensions.Configuration.IConfiguration configuration,
        string[] args
    )
    {
        var run = await Cli.RunAsync(configuration, ["dead-letters", .. args, "--json"]);
        return new CliRun(
            run.Status,
            [.. run.Lines.Select(x => JsonSerializer.Deserialize<JsonElement>(x))],
            run.Error
        );
    }
}
