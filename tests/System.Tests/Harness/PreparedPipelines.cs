using System.Text.Json;
using Npgsql;

namespace Pipeline.SystemTests.Harness;

/// <summary>A test's own virtual host and database.</summary>
internal sealed record PreparedPipeline(string VirtualHost, string Database);

/// <summary>
/// Pipelines of tests. One is made by <c>migrate</c>, once in a test process; the others are copies of it. The next
/// copies are made while a test runs.
/// </summary>
internal static class PreparedPipelines
{
    // As many as tests may run at once (xunit.runner.json): the next copy is there when one of them ends.
    private const int Ahead = 2;

    private static readonly Lazy<Task<(VirtualHosts VirtualHosts, string Database)>> Made = new(MakeAsync);

    private static readonly Queue<Task<PreparedPipeline>> Copies = new();

    /// <summary>The broker with the workers' login, which may do anything in a virtual host of tests.</summary>
    public static Uri BrokerOf(string virtualHost) =>
        new UriBuilder(Scratch.Required("ConnectionStrings__RabbitMq")) { Path = virtualHost }.Uri;

    /// <summary>A pipeline as <c>migrate</c> leaves it.</summary>
    public static Task<PreparedPipeline> TakeAsync()
    {
        lock (Copies)
        {
            while (Copies.Count <= Ahead)
                Copies.Enqueue(CopyAsync());
            return Copies.Dequeue();
        }
    }

    /// <summary>A virtual host and a database with nothing in them.</summary>
    public static async Task<PreparedPipeline> MakeEmptyAsync()
    {
        var empty = new PreparedPipeline(await VirtualHosts.MakeEmptyAsync(), Scratch.NewName());
        await DatabaseServer.CreateAsync(empty.Database);
        return empty;
    }

    /// <summary>Removes a pipeline in the background, or keeps its virtual host for another test.</summary>
    public static ValueTask RemoveLaterAsync(PreparedPipeline pipeline, bool isCopied, IEnumerable<string> users)
    {
        string[] logins = [.. users];
        return Scratch.RemoveLaterAsync(async () =>
        {
            using var management = new BrokerManagement();
            foreach (var user in logins)
                await management.SendAsync(HttpMethod.Delete, $"/api/users/{user}", ignoreMissing: true);
            await DatabaseServer.DropAsync(pipeline.Database);
            if (isCopied)
                await (await Made.Value).VirtualHosts.GiveBackAsync(pipeline.VirtualHost);
            else
                await management.SendAsync(HttpMethod.Delete, $"/api/vhosts/{pipeline.VirtualHost}");
        });
    }

    private static async Task<PreparedPipeline> CopyAsync()
    {
        var (virtualHosts, template) = await Made.Value;
        var database = Scratch.NewName();
        var virtualHost = virtualHosts.TakeAsync();
        await DatabaseServer.CloneAsync(database, template);
        await WarmUpAsync(database);
        return new PreparedPipeline(await virtualHost, database);
    }

    /// <summary>The first session writes a file with which all later ones begin; a worker's thirteen would each make it.</summary>
    private static async Task WarmUpAsync(string database)
    {
        await using var connection = new NpgsqlConnection(DatabaseServer.ConnectionString(database));
        await connection.OpenAsync();
        NpgsqlConnection.ClearPool(connection);
    }

    private static async Task<(VirtualHosts VirtualHosts, string Database)> MakeAsync()
    {
        var made = await MakeEmptyAsync();
        await WorkerProcess.MigrateAsync(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ConnectionStrings__RabbitMq"] = BrokerOf(made.VirtualHost).ToString(),
                ["ConnectionStrings__Postgres"] = DatabaseServer.ConnectionString(made.Database),
            }
        );
        using var management = new BrokerManagement();
        var definitions = await management.GetAsync($"/api/definitions/{made.VirtualHost}");
        var virtualHosts = new VirtualHosts(JsonSerializer.Deserialize<JsonElement>(definitions));
        await virtualHosts.GiveBackAsync(made.VirtualHost);
        return (virtualHosts, made.Database);
    }
}
