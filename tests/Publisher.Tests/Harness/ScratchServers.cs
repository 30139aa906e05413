using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using Amazon.Runtime;
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
    private readonly string _name = $"publisher_tests_{Guid.NewGuid():N}";
    private readonly HttpClient _management = Servers.Management();
    private IConnection? _connection;

    /// <summary>What the publisher reads: its own roles and nothing of the workers'.</summary>
    public IConfiguration Configuration { get; private set; } = new ConfigurationBuilder().Build();

    public Dictionary<string, string?> Settings { get; } = new(StringComparer.Ordinal);

    /// <summary>As the workers' role, to write rows.</summary>
    public NpgsqlDataSource Database { get; private set; } = NpgsqlDataSource.Create("Host=unset");

    public AmazonS3Client Store { get; } =
        new(
            new BasicAWSCredentials(Servers.Required("Storage__AccessKey"), Servers.Required("Storage__SecretKey")),
            new AmazonS3Config
            {
                ServiceURL = Servers.Required("Storage__ServiceUrl"),
                AuthenticationRegion = "us-east-1",
                ForcePathStyle = true,
                RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
                ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            }
        );

    public string Bucket => _name.Replace('_', '-')[..40];

    public async Task InitializeAsync()
    {
        var broker = new UriBuilder(Servers.Broker) { Path = _name };
        await ManageAsync(HttpMethod.Put, $"/api/vhosts/{_name}");
        foreach (var user in new[] { broker.UserName, Servers.Required("Management__Username") })
            await ManageAsync(
                HttpMethod.Put,
                $"/api/permissions/{_name}/{user}",
                new
                {
                    configure = ".*",
                    write = ".*",
                    read = ".*",
                }
            );
        _connection = await new ConnectionFactory { Uri = broker.Uri }.CreateConnectionAsync();

        await CreateDatabaseAsync();
        await Store.PutBucketAsync(Bucket);

        Settings["Publisher:RabbitMq"] = broker.Uri.ToString();
        Settings["Publisher:Url"] = "http://127.0.0.1:0";
        Settings["ConnectionStrings:Status"] = In(_name, "ConnectionStrings__Status");
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
        NpgsqlConnection.ClearAllPools();
        await ManageAsync(HttpMethod.Delete, $"/api/vhosts/{_name}");
        foreach (var o in (await Store.ListObjectsV2Async(new() { BucketName = Bucket })).S3Objects ?? [])
            await Store.DeleteObjectAsync(Bucket, o.Key);
        await Store.DeleteBucketAsync(Bucket);
        Store.Dispose();
        await DatabaseServer.DropAsync(_name);
        _management.Dispose();
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

    public async Task SqlAsync(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var value in parameters)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        await command.ExecuteNonQueryAsync();
    }

    private async Task CreateDatabaseAsync()
    {
        await DatabaseServer.CreateAsync(_name);
        Database = NpgsqlDataSource.Create(In(_name, "ConnectionStrings__Postgres"));
        foreach (var file in Directory.GetFiles(Migrations(), "*.sql").Order(StringComparer.Ordinal))
            await SqlAsync(await File.ReadAllTextAsync(file));
        var reader = new NpgsqlConnectionStringBuilder(Servers.Required("ConnectionStrings__Status")).Username;
        await SqlAsync(
            $"grant usage on schema status to {reader}; grant select on all tables in schema status to {reader}"
        );
    }

    private static string In(string database, string variable) =>
        new NpgsqlConnectionStringBuilder(Servers.Required(variable)) { Database = database }.ConnectionString;

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

    private async Task ManageAsync(HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = JsonContent.Create(body ?? new { }) };
        using var answer = await _management.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }
}
