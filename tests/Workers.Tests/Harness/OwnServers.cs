using System.Net.Http.Headers;
using System.Text;
using Pipeline.Workers.Tests.Persistence;
using Xunit;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>A virtual host and an empty database of a test class's own, on the real servers.</summary>
public sealed class OwnServers : IAsyncLifetime
{
    private readonly string _vhost = $"t{Guid.NewGuid():N}";
    private readonly ScratchDatabase _database = new();

    public Uri Broker { get; private set; } = null!;

    public string Database => _database.ConnectionString("ConnectionStrings__Postgres");

    public async Task InitializeAsync()
    {
        var broker = new UriBuilder(ScratchDatabase.Required("ConnectionStrings__RabbitMq")) { Path = _vhost };
        await ManageAsync(HttpMethod.Put, $"/api/vhosts/{_vhost}");
        const string All = """{"configure":".*","write":".*","read":".*"}""";
        await ManageAsync(HttpMethod.Put, $"/api/permissions/{_vhost}/{broker.UserName}", All);
        Broker = broker.Uri;
        await _database.CreateAsync();
    }

    public async Task DisposeAsync()
    {
        await _database.DisposeAsync();
        await ManageAsync(HttpMethod.Delete, $"/api/vhosts/{_vhost}");
    }

    private static async Task ManageAsync(HttpMethod method, string path, string body = "{}")
    {
        using var client = new HttpClient { BaseAddress = new Uri(ScratchDatabase.Required("Management__Url")) };
        var credentials =
            $"{ScratchDatabase.Required("Management__Username")}:{ScratchDatabase.Required("Management__Password")}";
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue(
            "Basic",
            Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials))
        );
        request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }
}
