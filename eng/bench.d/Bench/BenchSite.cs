using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Bench;

/// <summary>
/// A database and a virtual host of their own, made anew for each shape, so that nothing of an earlier run is in the way:
/// no table, function, queue or number of lanes.
/// </summary>
internal sealed class BenchSite : IAsyncDisposable
{
    // The servers belong to the bench (BenchRun checks); the database that eng/services made on them is left alone.
    private const string Name = "bench";

    private static readonly TimeSpan DropLimit = TimeSpan.FromSeconds(60);

    private BenchSite(BenchSettings settings)
    {
        Broker = new UriBuilder(settings.Broker) { Path = Name }.Uri;
        Database = new NpgsqlConnectionStringBuilder(settings.Database) { Database = Name }.ConnectionString;
        Source = NpgsqlDataSource.Create(BenchSettings.ForMeasuring(Database));
        Publisher = new ConfirmedPublisher(Broker, "bench");
    }

    public Uri Broker { get; }

    /// <summary>The connection string as a worker gets it.</summary>
    public string Database { get; }

    public NpgsqlDataSource Source { get; }

    public ConfirmedPublisher Publisher { get; }

    /// <summary>What tells a process of a contender where to work.</summary>
    public IEnumerable<(string Name, string Value)> Environment =>
        [(BenchSettings.BrokerVariable, Broker.ToString()), (BenchSettings.DatabaseVariable, Database)];

    /// <summary>Deletes the site of an earlier run, and makes an empty one.</summary>
    public static async Task<BenchSite> CreateAsync(BenchSettings settings, CancellationToken cancellation)
    {
        await MakeDatabaseAsync(settings, cancellation);
        await MakeVirtualHostAsync(settings, cancellation);
        return new BenchSite(settings);
    }

    /// <summary>Closes the connections; what was measured stays for a look at it until the next site is made.</summary>
    public async ValueTask DisposeAsync()
    {
        await Publisher.DisposeAsync();
        await Source.DisposeAsync();
    }

    private static async Task MakeDatabaseAsync(BenchSettings settings, CancellationToken cancellation)
    {
        await using var server = NpgsqlDataSource.Create(settings.Database);
        for (var end = DateTime.UtcNow + DropLimit; ; await Task.Delay(200, cancellation))
        {
            try
            {
                await ExecuteAsync($"drop database if exists {Name} with (force)");
                break;
            }
            // The server's own autovacuum is in it, whose session only a superuser may end; it leaves by itself.
            catch (PostgresException e)
                when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege && DateTime.UtcNow < end) { }
        }

        await ExecuteAsync($"create database {Name}");

        async Task ExecuteAsync(string sql)
        {
            await using var command = server.CreateCommand(sql);
            await command.ExecuteNonQueryAsync(cancellation);
        }
    }

    private static async Task MakeVirtualHostAsync(BenchSettings settings, CancellationToken cancellation)
    {
        using var client = new HttpClient();
        client.BaseAddress = settings.Management;
        var login = Encoding.UTF8.GetBytes(Uri.UnescapeDataString(settings.Management.UserInfo));
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Basic",
            Convert.ToBase64String(login)
        );

        await SendAsync(HttpMethod.Delete, $"/api/vhosts/{Name}", new { });
        await SendAsync(HttpMethod.Put, $"/api/vhosts/{Name}", new { });
        foreach (var user in (string[])[UserOf(settings.Broker), UserOf(settings.Management)])
        {
            await SendAsync(
                HttpMethod.Put,
                $"/api/permissions/{Name}/{user}",
                new
                {
                    configure = ".*",
                    write = ".*",
                    read = ".*",
                }
            );
        }

        async Task SendAsync(HttpMethod method, string path, object body)
        {
            using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
            request.Content = JsonContent.Create(body);
            using var response = await client.SendAsync(request, cancellation);
            var isGoneAlready = method == HttpMethod.Delete && response.StatusCode == HttpStatusCode.NotFound;
            if (!isGoneAlready)
                response.EnsureSuccessStatusCode();
        }
    }

    private static string UserOf(Uri address) => Uri.UnescapeDataString(address.UserInfo.Split(':')[0]);
}
