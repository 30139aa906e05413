using System.Net.Http.Headers;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;
using Pipeline.Workers.Importing;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Importing;

/// <summary>
/// The import queue on the real servers: a virtual host and a database of the test's own, the S3 server's bucket, and a
/// host of the rooms and this slice alone. The outbox is not relayed, so that a test can see what is in it.
/// </summary>
public sealed class ImportPipeline : IAsyncLifetime
{
    private const int BodyLimit = 262_144;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // A bound for a slow machine, never a sleep.

    private readonly string _name = $"t{Guid.NewGuid():N}";
    private IHost _host = null!;
    private IConnection _broker = null!;
    private IChannel _channel = null!;

    internal NpgsqlDataSource Database => _host.Services.GetRequiredService<NpgsqlDataSource>();

    internal IImageStore Store => _host.Services.GetRequiredService<IImageStore>();

    public async Task InitializeAsync()
    {
        var broker = new UriBuilder(Required("ConnectionStrings__RabbitMq")) { Path = _name };
        await ManageAsync(HttpMethod.Put, $"/api/vhosts/{_name}");
        foreach (var user in new[] { broker.UserName, Required("Management__Username") })
        {
            const string All = """{"configure":".*","write":".*","read":".*"}""";
            await ManageAsync(HttpMethod.Put, $"/api/permissions/{_name}/{user}", All);
        }

        await ExecuteOnServerAsync($"create database {_name}");
        var database = new NpgsqlConnectionStringBuilder(Required("ConnectionStrings__Postgres")) { Database = _name };
        _host = BuildHost(broker.Uri, database.ConnectionString);
        var contexts = _host.Services.GetRequiredService<IDbContextFactory<PipelineDbContext>>();
        await using (var db = await contexts.CreateDbContextAsync())
            await PersistenceRoom.MigrateAsync(db, default);
        await Store.EnsureBucketAsync(default);
        await _host.StartAsync();

        _broker = await new ConnectionFactory { Uri = broker.Uri }.CreateConnectionAsync();
        _channel = await _broker.CreateChannelAsync(new CreateChannelOptions(true, true));
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
        await ManageAsync(HttpMethod.Delete, $"/api/vhosts/{_name}");
        await ExecuteOnServerAsync($"drop database {_name} with (force)");
    }

    internal ValueTask SendAsync(ImportImage command, int replays = 0)
    {
        var properties = new BasicProperties
        {
            ContentType = WireJson.ContentType,
            Type = "import-image",
            MessageId = command.CommandId.ToString(),
            Persistent = true,
        };
        if (replays > 0)
            properties.Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                [DeliveryHeaders.ReplayCount] = replays,
            };
        return _channel.BasicPublishAsync("import-image", "", mandatory: true, properties, WireJson.Write(command));
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

    internal async Task<string?> AskAsync(string sql, Guid id)
    {
        await using var command = Database.CreateCommand(sql);
        command.Parameters.AddWithValue(id);
        return await command.ExecuteScalarAsync() is { } answer and not DBNull ? answer.ToString() : null;
    }

    internal async Task<uint> DeadLettersAsync()
    {
        // A channel of its own: asking for a queue that is not there yet closes the channel.
        await using var channel = await _broker.CreateChannelAsync();
        try
        {
            return await channel.MessageCountAsync("import-image_error");
        }
        catch (OperationInterruptedException e) when (e.ShutdownReason?.ReplyCode == Constants.NotFound)
        {
            return 0;
        }
    }

    private static IHost BuildHost(Uri broker, string database)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(
            new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["ConnectionStrings:RabbitMq"] = broker.ToString(),
                ["ConnectionStrings:Postgres"] = database,
                ["Importing:AllowPrivateNetworks"] = "true", // The stub is on loopback.
                ["Importing:Retries"] = "2",
                ["Importing:RetryDelay"] = "00:00:00.050",
            }
        );
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddPersistence(builder.Configuration, new WorkerIdentity(Guid.NewGuid(), "tests"));
        builder.Services.AddStorage(builder.Configuration);
        builder.Services.AddMessaging(
            MessagingOptions.Read(builder.Configuration),
            BodyLimit,
            bus => bus.AddImporting(builder.Configuration)
        );
        var relay = builder.Services.Single(x => x.ImplementationType == typeof(OutboxRelay));
        builder.Services.Remove(relay);
        return builder.Build();
    }

    private static async Task ManageAsync(HttpMethod method, string path, string body = "{}")
    {
        using var client = new HttpClient { BaseAddress = new Uri(Required("Management__Url")) };
        var credentials = $"{Required("Management__Username")}:{Required("Management__Password")}";
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue(
            "Basic",
            Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials))
        );
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }

    private static async Task ExecuteOnServerAsync(string sql)
    {
        await using var server = NpgsqlDataSource.Create(Required("ConnectionStrings__Postgres"));
        await using var command = server.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static string Required(string variable) =>
        Environment.GetEnvironmentVariable(variable).ShouldNotBeNull($"{variable} is not set: run ./test.");
}
