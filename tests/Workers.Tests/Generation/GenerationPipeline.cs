using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>
/// The saga on the real broker and database, alone: nobody renders and nobody relays the outbox, so that a test plays
/// the rendering worker itself and sees what each transition would send.
/// </summary>
public sealed class GenerationPipeline : IAsyncLifetime
{
    private const int BodyLimit = 262_144;

    private readonly OwnServers _servers = new();
    private IHost _host = null!;
    private IConnection _broker = null!;
    private IChannel _channel = null!;

    internal NpgsqlDataSource Database => _host.Services.GetRequiredService<NpgsqlDataSource>();

    public async Task InitializeAsync()
    {
        await _servers.InitializeAsync();
        _host = BuildHost();
        var contexts = _host.Services.GetRequiredService<IDbContextFactory<PipelineDbContext>>();
        await using (var db = await contexts.CreateDbContextAsync())
            await PersistenceRoom.MigrateAsync(db, default);

        _broker = await new ConnectionFactory { Uri = _servers.Broker }.CreateConnectionAsync();
        _channel = await _broker.CreateChannelAsync(new CreateChannelOptions(true, true));
        foreach (var queue in _host.Services.GetServices<WorkQueue>())
            await QueueTopology.DeclareAsync(_channel, queue, default);
        await _host.StartAsync();
    }

    public async Task DisposeAsync()
    {
        if (_host is null)
            return; // It was never made, and the test has said why.
        if (_broker is not null)
            await _broker.DisposeAsync();
        await _host.StopAsync();
        NpgsqlConnection.ClearPool(Database.CreateConnection());
        _host.Dispose();
        await _servers.DisposeAsync();
    }

    internal static GenerateImage NewRequest(string? prompt = null) =>
        new(
            Guid.NewGuid(),
            Guid.NewGuid(),
            Guid.NewGuid(),
            "scene-1",
            SceneIndex: null,
            Slot: 0,
            prompt ?? $"A red kite over {Guid.NewGuid()}",
            "offline-painter",
            Width: 512,
            Height: 512,
            Seed: 1,
            Options: null,
            Deadline: null,
            Force: false
        );

    internal ValueTask SendAsync<T>(T message, Guid? messageId = null)
    {
        var exchange = WireNames.ExchangeOf<T>();
        var properties = new BasicProperties
        {
            ContentType = WireJson.ContentType,
            Type = exchange,
            MessageId = (messageId ?? Guid.NewGuid()).ToString(),
            Persistent = true,
        };
        return _channel.BasicPublishAsync(exchange, "", mandatory: true, properties, WireJson.Write(message));
    }

    /// <summary>Waits until the saga is in a state, with an attempt.</summary>
    internal Task UntilAsync(Guid generationId, string state, int attempt) =>
        Until.TrueAsync(
            $"{state}, attempt {attempt}",
            async () =>
                await AskAsync(
                    "select concat(current_state, ' ', attempt) from pipeline.generation_requests where correlation_id = $1",
                    generationId
                ) == $"{state} {attempt}"
        );

    internal async Task<string?> AskAsync(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return await command.ExecuteScalarAsync() is { } answer and not DBNull ? answer.ToString() : null;
    }

    /// <summary>How many messages of a type wait in the outbox for this text, such as a generation's id.</summary>
    internal async Task<int> SentAsync<T>(object about) =>
        int.Parse(
            (
                await AskAsync(
                    "select count(*) from pipeline.outbox where exchange = $1 and convert_from(body, 'UTF8') like $2",
                    WireNames.ExchangeOf<T>(),
                    $"%{about}%"
                )
            )!
        );

    internal async Task<uint> DeadLettersAsync()
    {
        uint count = 0;
        foreach (var queue in _host.Services.GetServices<WorkQueue>())
            count += await _channel.MessageCountAsync(WireNames.ErrorQueue(queue.Name));
        return count;
    }

    private IHost BuildHost()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["ConnectionStrings:RabbitMq"] = _servers.Broker.ToString(),
                ["ConnectionStrings:Postgres"] = _servers.Database,
                ["Generation:AttemptLimit"] = "3",
                ["Generation:BackoffFirst"] = "00:00:00.010",
                ["Generation:BackoffLimit"] = "00:00:00.020",
                ["Generation:SweepEvery"] = "00:00:00.050",
            }
        );
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration, new WorkerIdentity(Guid.NewGuid(), "tests"));
        builder.Services.AddMessaging(
            MessagingOptions.Read(builder.Configuration),
            BodyLimit,
            bus => bus.AddGeneration(builder.Configuration)
        );
        var relay = builder.Services.Single(x => x.ImplementationType == typeof(OutboxRelay));
        builder.Services.Remove(relay);
        return builder.Build();
    }
}
