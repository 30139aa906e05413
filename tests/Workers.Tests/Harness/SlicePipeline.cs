using System.Text;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Persistence;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Xunit;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>
/// One slice on the real servers: a virtual host and a database of the test's own, the S3 server's bucket, and a host
/// of the rooms and this slice alone. The outbox is not relayed, so that a test can see what is in it.
/// </summary>
public abstract class SlicePipeline : IAsyncLifetime
{
    private const int BodyLimit = 262_144;

    private const string Questions = "questions of a test";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // A bound for a slow machine, never a sleep.

    private readonly string _name = Scratch.NewName();
    private string _brokerUri = "";
    private string _database = "";
    private NpgsqlDataSource _questions = null!;
    private IHost _host = null!;
    private string _login = "";
    private IConnection _broker = null!;
    private IChannel _channel = null!;

    private protected IHost Worker => _host;

    internal IServiceProvider Services => _host.Services;

    /// <summary>The workers' own sessions; a test that asks while they are ended uses <see cref="AskAsync"/>.</summary>
    internal NpgsqlDataSource Database => _host.Services.GetRequiredService<NpgsqlDataSource>();

    internal IImageStore Store => _host.Services.GetRequiredService<IImageStore>();

    public virtual async Task InitializeAsync()
    {
        var broker = new UriBuilder(Scratch.Required("ConnectionStrings__RabbitMq")) { Path = _name };
        using (var management = new BrokerManagement())
        {
            await management.SendAsync(HttpMethod.Put, $"/api/vhosts/{_name}");
            foreach (var user in new[] { broker.UserName, Scratch.Required("Management__Username") })
                await management.GrantAsync(_name, user, new BrokerUser(user, ".*", ".*", ".*"));
        }

        await ScratchDatabase.CreateMigratedAsync(_name);
        (_brokerUri, _database) = (broker.Uri.ToString(), DatabaseServer.ConnectionString(_name));
        _login = broker.UserName;
        _questions = NpgsqlDataSource.Create($"{_database};Application Name={Questions}");
        _host = BuildHost();
        await Store.EnsureBucketAsync(default);

        _broker = await new ConnectionFactory { Uri = broker.Uri }.CreateConnectionAsync();
        _channel = await _broker.CreateChannelAsync(new CreateChannelOptions(true, true));
        foreach (var queue in _host.Services.GetServices<WorkQueue>())
            await QueueTopology.DeclareAsync(_channel, queue, default);
        await _host.StartAsync();
    }

    public virtual async Task DisposeAsync()
    {
        if (_host is null)
            return; // It was never made, and the test has said why.
        if (_broker is not null)
            await _broker.DisposeAsync();
        await _host.StopAsync();
        _host.Dispose();
        await _questions.DisposeAsync();
        await Scratch.RemoveLaterAsync(_name);
    }

    private protected ValueTask SendAsync<T>(
        T command,
        Guid id,
        Dictionary<string, object?>? headers = null,
        string routingKey = ""
    )
    {
        var exchange = WireNames.ExchangeOf<T>();
        var properties = new BasicProperties
        {
            ContentType = WireJson.ContentType,
            Type = exchange,
            MessageId = id.ToString(),
            Persistent = true,
            Headers = headers,
            UserId = _login,
        };
        return _channel.BasicPublishAsync(exchange, routingKey, mandatory: true, properties, WireJson.Write(command));
    }

    /// <summary>Publishes what somebody sends who knows nothing of this pipeline.</summary>
    private protected ValueTask SendForeignAsync(string exchange, string body, string? contentType, Guid id)
    {
        var properties = new BasicProperties { MessageId = id.ToString() };
        if (contentType is not null)
            properties.ContentType = contentType;
        return _channel.BasicPublishAsync(exchange, "", mandatory: true, properties, Encoding.UTF8.GetBytes(body));
    }

    /// <summary>Sends what waits in the outbox, as the relay would, and takes it out.</summary>
    /// <returns>The ids of the messages.</returns>
    private protected async Task<List<Guid>> PlayOutboxAsync(IReadOnlyCollection<string> exchanges)
    {
        await using var take = Database.CreateCommand(
            "delete from pipeline.outbox where exchange = any($1) returning id, exchange, message_id, body"
        );
        take.Parameters.AddWithValue(exchanges.ToArray());
        var messages = new List<(long Id, string Exchange, Guid MessageId, byte[] Body)>();
        await using (var row = await take.ExecuteReaderAsync())
        {
            while (await row.ReadAsync())
                messages.Add((row.GetInt64(0), row.GetString(1), row.GetGuid(2), row.GetFieldValue<byte[]>(3)));
        }

        foreach (var (_, exchange, messageId, body) in messages.OrderBy(x => x.Id))
        {
            var properties = new BasicProperties
            {
                Type = exchange,
                MessageId = messageId.ToString(),
                UserId = _login,
            };
            await _channel.BasicPublishAsync(exchange, "", mandatory: true, properties, body);
        }

        return [.. messages.Select(x => x.MessageId)];
    }

    /// <summary>Takes a message out of a queue's dead letters and returns why it is there; null where there is none.</summary>
    private protected async Task<string?> TakeFaultAsync(string queue)
    {
        var dead = await _channel.BasicGetAsync(WireNames.ErrorQueue(queue), autoAck: true);
        return dead?.BasicProperties.Headers?["MT-Fault-Message"] is byte[] text ? Encoding.UTF8.GetString(text) : null;
    }

    /// <summary>Waits until a query has an answer, such as a receipt that a command must get.</summary>
    internal async Task<string> WaitForAsync(string sql, Guid id)
    {
        var giveUp = DateTimeOffset.UtcNow + Patience;
        while (DateTimeOffset.UtcNow < giveUp)
        {
            if (await AskAsync(sql, id) is { } answer)
                return answer;
            await Task.Delay(50);
        }

        throw new TimeoutException($"No answer to: {sql}");
    }

    internal async Task<string?> AskAsync(string sql, params object[] parameters)
    {
        await using var command = _questions.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return await command.ExecuteScalarAsync() is { } answer and not DBNull ? answer.ToString() : null;
    }

    /// <summary>Ends every session of this pipeline's database, and lets none begin.</summary>
    internal async Task TakeDatabaseAwayAsync()
    {
        await DatabaseServer.ExecuteAsync($"alter database {_name} connection limit 0");
        await EndSessionsAsync();
    }

    internal Task GiveDatabaseBackAsync() => DatabaseServer.ExecuteAsync($"alter database {_name} connection limit -1");

    /// <summary>Ends the workers' sessions. The test's own questions go on: they have no part in what is tested.</summary>
    internal Task EndSessionsAsync() =>
        DatabaseServer.ExecuteAsync(
            "select pg_terminate_backend(pid) from pg_stat_activity "
                + $"where datname = '{_name}' and application_name <> '{Questions}'"
        );

    /// <summary>Rendered pictures of a generation in the store.</summary>
    internal async Task<int> StoredAsync(Guid generationId) =>
        (await Store.ListAsync($"generated/{generationId:D}/", continuation: null, default)).Objects.Count;

    private protected async Task<uint> DeadLettersAsync(string queue)
    {
        // A channel of its own: asking for a queue that is not there yet closes the channel.
        await using var channel = await _broker.CreateChannelAsync();
        try
        {
            return await channel.MessageCountAsync(WireNames.ErrorQueue(queue));
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return 0;
        }
    }

    private protected Task<uint> PurgeAsync(string queue) => _channel.QueuePurgeAsync(queue);

    /// <summary>Takes a binding away behind the worker's back, as a broker that was restored from older definitions lacks it.</summary>
    internal async Task UnbindAsync(string queue, string exchange, string routingKey)
    {
        await using var channel = await _broker.CreateChannelAsync();
        await channel.QueueUnbindAsync(queue, exchange, routingKey);
    }

    private protected async Task<uint> ReadyAsync(string queue)
    {
        await using var channel = await _broker.CreateChannelAsync();
        return await channel.MessageCountAsync(queue);
    }

    /// <summary>The slice's settings, beside those of the servers.</summary>
    private protected abstract IEnumerable<KeyValuePair<string, string?>> Settings();

    private protected abstract void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration);

    /// <summary>Another worker process's host on the same servers; not started.</summary>
    private protected IHost BuildHost()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection([
            new("ConnectionStrings:RabbitMq", _brokerUri),
            new("ConnectionStrings:Postgres", _database),
            .. Settings(),
        ]);
        builder.Services.AddSingleton(TimeProvider.System);
        var worker = new WorkerIdentity(Guid.NewGuid(), "tests");
        builder.Services.AddSingleton(worker);
        builder.Services.AddPersistence(builder.Configuration, worker);
        builder.Services.AddStorage(builder.Configuration);
        builder.Services.AddMessaging(
            MessagingOptions.Read(builder.Configuration),
            BodyLimit,
            bus =>
            {
                bus.AddCommands(builder.Configuration);
                AddSlice(bus, builder.Configuration);
            }
        );
        var relay = builder.Services.Single(x => x.ImplementationType == typeof(OutboxRelay));
        builder.Services.Remove(relay);
        return builder.Build();
    }
}
