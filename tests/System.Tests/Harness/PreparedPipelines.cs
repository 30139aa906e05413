using System.Text.Json;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// Pipelines of tests: each a virtual host and a database of one name. One is made by <c>migrate</c>, once in a test
/// process; the others are copies of it. The next copies are made while a test runs.
/// </summary>
internal static class PreparedPipelines
{
    // As many as tests may run at once (xunit.runner.json): the next copy is there when one of them ends.
    private const int Ahead = 2;

    private static readonly Lazy<Task<Made>> First = new(MakeFirstAsync);

    private static readonly Queue<Task<string>> Copies = new();

    /// <summary>The broker with the workers' login, which may do anything in a virtual host of tests.</summary>
    public static Uri BrokerOf(string name) =>
        new UriBuilder(Scratch.Required("ConnectionStrings__RabbitMq")) { Path = name }.Uri;

    /// <summary>A pipeline as <c>migrate</c> leaves it. Whoever takes it removes it.</summary>
    public static Task<string> TakeAsync()
    {
        lock (Copies)
        {
            while (Copies.Count <= Ahead)
                Copies.Enqueue(CopyAsync());
            return Copies.Dequeue();
        }
    }

    /// <summary>A virtual host and a database with nothing in them.</summary>
    public static async Task<string> MakeEmptyAsync()
    {
        var name = await MakeVirtualHostAsync();
        await DatabaseServer.CreateAsync(name);
        return name;
    }

    private static async Task<string> CopyAsync()
    {
        var first = await First.Value;
        var name = await MakeVirtualHostAsync();
        using var management = new BrokerManagement();
        await Task.WhenAll(
            management.SendAsync(HttpMethod.Post, $"/api/definitions/{name}", first.Definitions),
            DatabaseServer.CloneAsync(name, first.Database)
        );
        return name;
    }

    private static async Task<Made> MakeFirstAsync()
    {
        var name = await MakeEmptyAsync();
        await WorkerProcess.MigrateAsync(
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ConnectionStrings__RabbitMq"] = BrokerOf(name).ToString(),
                ["ConnectionStrings__Postgres"] = DatabaseServer.ConnectionString(name),
            }
        );
        using var management = new BrokerManagement();
        var definitions = JsonSerializer.Deserialize<JsonElement>(
            await management.GetAsync($"/api/definitions/{name}")
        );
        await management.SendAsync(HttpMethod.Delete, $"/api/vhosts/{name}");
        return new Made(name, definitions);
    }

    private static async Task<string> MakeVirtualHostAsync()
    {
        var name = Scratch.NewName();
        using var management = new BrokerManagement();
        await management.SendAsync(HttpMethod.Put, $"/api/vhosts/{name}");
        foreach (var user in new[] { BrokerOf(name).UserInfo.Split(':')[0], Scratch.Required("Management__Username") })
            await management.GrantAsync(name, user, new BrokerUser(user, ".*", ".*", ".*"));
        var publisher = new Uri(Scratch.Required("Publisher__RabbitMq")).UserInfo.Split(':')[0];
        await management.GrantAsync(name, publisher, BrokerUser.Of("publisher"));
        return name;
    }

    /// <param name="Database">Copied.</param>
    /// <param name="Definitions">Imported: queues, exchanges, bindings.</param>
    private sealed record Made(string Database, JsonElement Definitions);
}
