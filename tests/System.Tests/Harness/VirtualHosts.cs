using System.Collections.Concurrent;
using System.Text.Json;
using RabbitMQ.Client;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// Virtual hosts with the workers' topology. One that a test has left is used again if it is exactly as
/// <c>migrate</c> left it, with no connection, consumer or message: to delete 112 quorum queues and to make them anew
/// takes the broker 2.4 s of processor time.
/// </summary>
/// <param name="definitions">What the management API exported after <c>migrate</c>.</param>
internal sealed class VirtualHosts(JsonElement definitions)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private static readonly string[] Kinds = ["queues", "exchanges", "bindings", "policies", "parameters"];

    private readonly string[] _wanted = Entries(definitions);
    private readonly string[] _queues = [.. Names(definitions, "queues")];
    private readonly ConcurrentQueue<string> _spare = new();

    public async Task<string> TakeAsync()
    {
        if (_spare.TryDequeue(out var spare))
            return spare;
        var name = await MakeEmptyAsync();
        using var management = new BrokerManagement();
        await management.SendAsync(HttpMethod.Post, $"/api/definitions/{name}", definitions);
        return name;
    }

    /// <summary>Keeps the virtual host for another test, or deletes it. Whoever used it is gone, or about to go.</summary>
    public async Task GiveBackAsync(string name)
    {
        using var management = new BrokerManagement();
        if (await IsAsMadeAsync(management, name))
            _spare.Enqueue(name);
        else
            await management.SendAsync(HttpMethod.Delete, $"/api/vhosts/{name}", ignoreMissing: true);
    }

    /// <summary>A virtual host with nothing in it, for the roles of an installation.</summary>
    public static async Task<string> MakeEmptyAsync()
    {
        var name = Scratch.NewName();
        using var management = new BrokerManagement();
        await management.SendAsync(HttpMethod.Put, $"/api/vhosts/{name}");
        foreach (var user in new[] { Login("ConnectionStrings__RabbitMq"), Scratch.Required("Management__Username") })
            await management.GrantAsync(name, user, new BrokerUser(user, ".*", ".*", ".*"));
        await management.GrantAsync(name, Login("Publisher__RabbitMq"), BrokerUser.Of("publisher"));
        return name;
    }

    private async Task<bool> IsAsMadeAsync(BrokerManagement management, string name)
    {
        var deadline = DateTimeOffset.UtcNow + Limit;
        while (await CountAsync(management, $"/api/vhosts/{name}/connections") > 0)
        {
            if (DateTimeOffset.UtcNow > deadline)
                return false;
            await Task.Delay(100);
        }

        await DeleteAddedAsync(management, name);
        if (!Entries(await ExportAsync(management, name)).SequenceEqual(_wanted, StringComparer.Ordinal))
            return false;
        if (await CountAsync(management, $"/api/vhosts/{name}/permissions") != 3)
            return false;

        await using var connection = await new ConnectionFactory
        {
            Uri = PreparedPipelines.BrokerOf(name),
        }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        while (!await IsQuietAsync(channel))
        {
            if (DateTimeOffset.UtcNow > deadline)
                return false;
        }

        return true;
    }

    /// <summary>Listeners' queues, and what belonged to one process.</summary>
    private async Task DeleteAddedAsync(BrokerManagement management, string name)
    {
        var there = await ExportAsync(management, name);
        foreach (var kind in new[] { "queues", "exchanges" })
        {
            foreach (var added in Names(there, kind).Except(Names(definitions, kind), StringComparer.Ordinal))
                await management.SendAsync(
                    HttpMethod.Delete,
                    $"/api/{kind}/{name}/{Uri.EscapeDataString(added)}",
                    ignoreMissing: true
                );
        }
    }

    /// <summary>Empties every queue; true if there was nothing to empty and nobody consumes.</summary>
    private async Task<bool> IsQuietAsync(IChannel channel)
    {
        var isQuiet = true;
        foreach (var queue in _queues)
        {
            var declared = await channel.QueueDeclarePassiveAsync(queue);
            if (declared.MessageCount > 0)
                await channel.QueuePurgeAsync(queue);
            isQuiet &= declared is { MessageCount: 0, ConsumerCount: 0 };
        }

        return isQuiet;
    }

    private static string Login(string variable) => new Uri(Scratch.Required(variable)).UserInfo.Split(':')[0];

    private static async Task<JsonElement> ExportAsync(BrokerManagement management, string name) =>
        JsonSerializer.Deserialize<JsonElement>(await management.GetAsync($"/api/definitions/{name}"));

    private static async Task<int> CountAsync(BrokerManagement management, string path)
    {
        using var list = JsonDocument.Parse(await management.GetAsync(path));
        return list.RootElement.GetArrayLength();
    }

    private static string[] Entries(JsonElement definitions) =>
        [
            .. Kinds
                .SelectMany(kind => definitions.GetProperty(kind).EnumerateArray().Select(x => $"{kind} {x}"))
                .Order(StringComparer.Ordinal),
        ];

    private static IEnumerable<string> Names(JsonElement definitions, string kind) =>
        definitions.GetProperty(kind).EnumerateArray().Select(x => x.GetProperty("name").GetString()!);
}
