using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Pipeline.SystemTests;

/// <summary>
/// The consumer of the failure report, in the tests only: each save reads one JSON document, adds its URL and writes
/// the whole document back. It says "saved" every time.
/// </summary>
internal sealed class ReadModifyWritePipeline : IAsyncDisposable
{
    private const ushort Concurrency = 16;

    private readonly NpgsqlDataSource _database;
    private readonly IConnection _connection;
    private readonly IChannel _channel;
    private int _saved;

    private ReadModifyWritePipeline(NpgsqlDataSource database, IConnection connection, IChannel channel)
    {
        _database = database;
        _connection = connection;
        _channel = channel;
    }

    public Guid ProjectId { get; } = Guid.NewGuid();

    public const string Exchange = "seed-save-image";

    public int Saved => Volatile.Read(ref _saved);

    public static async Task<ReadModifyWritePipeline> StartAsync(Stack stack, int scenes)
    {
        var factory = new ConnectionFactory { Uri = stack.Broker, ConsumerDispatchConcurrency = Concurrency };
        var connection = await factory.CreateConnectionAsync();
        var pipeline = new ReadModifyWritePipeline(
            stack.Database,
            connection,
            await connection.CreateChannelAsync(new CreateChannelOptions(false, false, null, Concurrency))
        );
        await pipeline.StartAsync(scenes);
        return pipeline;
    }

    public async Task<JsonElement> DocumentAsync() => JsonElement.Parse(await ReadAsync());

    public async ValueTask DisposeAsync()
    {
        await _channel.CloseAsync();
        await _connection.CloseAsync();
        await _channel.DisposeAsync();
        await _connection.DisposeAsync();
    }

    private async Task StartAsync(int scenes)
    {
        var empty = new JsonObject
        {
            ["scenes"] = new JsonArray([
                .. Enumerable
                    .Range(1, scenes)
                    .Select(x => new JsonObject { ["id"] = $"scene-{x}", ["imageUrls"] = new JsonArray() }),
            ]),
        };
        await ExecuteAsync("create table seed_projects (id uuid primary key, generated_output jsonb)");
        await ExecuteAsync("insert into seed_projects values ($1, $2::jsonb)", ProjectId, empty.ToJsonString());

        await _channel.ExchangeDeclareAsync(Exchange, ExchangeType.Fanout);
        await _channel.QueueDeclareAsync(Exchange, durable: true, exclusive: false, autoDelete: false);
        await _channel.QueueBindAsync(Exchange, Exchange, "");
        await _channel.BasicQosAsync(0, Concurrency, global: false);
        var consumer = new AsyncEventingBasicConsumer(_channel);
        consumer.ReceivedAsync += (_, delivery) => SaveAsync(delivery);
        await _channel.BasicConsumeAsync(Exchange, autoAck: false, consumer);
    }

    private async Task SaveAsync(BasicDeliverEventArgs delivery)
    {
        var save = JsonSerializer.Deserialize<SaveImage>(delivery.Body.Span, WireJson.Options)!;
        var document = JsonNode.Parse(await ReadAsync())!;
        var scene = document["scenes"]!.AsArray().Single(x => (string?)x!["id"] == save.SceneId)!;
        scene["imageUrls"]!.AsArray().Add($"/images/{save.ImageId}/1");
        await ExecuteAsync(
            "update seed_projects set generated_output = $2::jsonb where id = $1",
            ProjectId,
            document.ToJsonString()
        );
        Interlocked.Increment(ref _saved);
        await _channel.BasicAckAsync(delivery.DeliveryTag, multiple: false);
    }

    private async Task<string> ReadAsync()
    {
        await using var command = _database.CreateCommand(
            "select generated_output::text from seed_projects where id = $1"
        );
        command.Parameters.AddWithValue(ProjectId);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    private async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = _database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync();
    }
}
