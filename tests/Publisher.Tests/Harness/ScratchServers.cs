using System.Runtime.CompilerServices;
using Amazon.S3;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using Xunit;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>
/// A virtual host, a database with the workers' schema and a bucket, of one test class alone, on the real servers. No
/// worker runs here: a test declares the routes and writes the rows that it needs.
/// </summary>
public sealed class ScratchServers : IAsyncLifetime
{
    private static readonly DatabaseTemplate Migrated = new(async name =>
    {
        await using var source = NpgsqlDataSource.Create(DatabaseServer.ConnectionString(name));
        foreach (var file in Directory.GetFiles(Migrations(), "*.sql").Order(StringComparer.Ordinal))
            await ExecuteAsync(source, await File.ReadAllTextAsync(file));
        var reader = new NpgsqlConnectionStringBuilder(Scratch.Required("ConnectionStrings__Status")).Username;
        await ExecuteAsync(
            source,
            $"grant usage on schema status to {reader}; grant select on all tables in schema status to {reader}"
        );
    });

    private readonly string _name = Scratch.NewName();
    private IConnection? _connection;

    /// <summary>What the publisher reads: its own roles and nothing of the workers'.</summary>
    public IConfiguration Configuration { get; private set; } = new ConfigurationBuilder().Build();

    public Dictionary<string, string?> Settings { get; } = new(StringComparer.Ordinal);

    /// <summary>As the workers' role, to write rows.</summary>
    public NpgsqlDataSource Database { get; private set; } = NpgsqlDataSource.Create("Host=unset");

    public AmazonS3Client Store { get; } = Scratch.NewStoreClient();

    public string Bucket => _name.Replace('_', '-');

    public async Task InitializeAsync()
    {
        var broker = new UriBuilder(Servers.Broker) { Path = _name };
        using (var management = new BrokerManagement())
        {
            await management.SendAsync(HttpMethod.Put, $"/api/vhosts/{_name}");
            foreach (var user in new[] { broker.UserName, Servers.Required("Management__Username") })
                await management.GrantAsync(_name, user, new BrokerUser(user, ".*", ".*", ".*"));
        }

        _connection = await new ConnectionFactory { Uri = broker.Uri }.CreateConnectionAsync();

        await Migrated.CloneAsync(_name);
        Database = NpgsqlDataSource.Create(DatabaseServer.ConnectionString(_name));
        await Store.PutBucketAsync(Bucket);

        Settings["Publisher:RabbitMq"] = broker.Uri.ToString();
        Settings["Publisher:Url"] = "http://127.0.0.1:0";
        Settings["ConnectionStrings:Status"] = DatabaseServer.ConnectionString(_name, "ConnectionStrings__Status");
        Settings["Storage:ServiceUrl"] = Servers.Required("Storage__ServiceUrl");
        Settings["Storage:Region"] = "us-east-1";
        Settings["Storage:Bucket"] = Bucket;
        Settings["Storage:AccessKey"] = Servers.Required("Storage__AccessKey");
        Settings["Storage:SecretKey"] = Servers.Required("Storage__SecretKey");
        Configuration = new ConfigurationBuilder().AddInMemoryCollection(Settings).Build();
    }

    public async Task DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        await Database.DisposeAsync();
        await Scratch.RemoveLaterAsync(async () =>
        {
            await Scratch.RemoveBucketAsync(Store, Bucket);
            Store.Dispose();
        });
        await Scratch.RemoveLaterAsync(_name);
    }

    /// <summary>A command's exchange, durable as the workers declare it, with a queue of the same name behind it or none.</summary>
    public async Task<IChannel> RouteAsync(string exchange, bool bind = true)
    {
        var connection = _connection ?? throw new InvalidOperationException("Not initialised.");
        var channel = await connection.CreateChannelAsync();
        await channel.ExchangeDeclareAsync(exchange, ExchangeType.Fanout, durable: true);
        if (bind)
        {
            await channel.QueueDeclareAsync(exchange, durable: true, exclusive: false, autoDelete: false);
            await channel.QueueBindAsync(exchange, exchange, routingKey: "");
        }

        return channel;
    }

    public Task SqlAsync(string sql, params object[] parameters) => ExecuteAsync(Database, sql, parameters);

    private static async Task ExecuteAsync(NpgsqlDataSource database, string sql, params object[] parameters)
    {
        await using var command = database.CreateCommand(sql);
        foreach (var value in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }

    private static string Migrations([CallerFilePath] string thisFile = "") =>
        Path.Combine(
            Path.GetDirectoryName(thisFile) ?? "",
            "..",
            "..",
            "..",
            "src",
            "Workers",
            "Persistence",
            "Migrations"
        );
}
