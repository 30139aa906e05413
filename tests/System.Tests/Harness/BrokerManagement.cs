using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace Pipeline.SystemTests.Harness;

/// <summary>The broker's management API, as its administrator.</summary>
internal sealed class BrokerManagement : IDisposable
{
    private readonly HttpClient _client = new();

    public BrokerManagement()
    {
        var login = $"{Scratch.Required("Management__Username")}:{Scratch.Required("Management__Password")}";
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes(login));
        _client.BaseAddress = new Uri(Scratch.Required("Management__Url"));
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", basic);
    }

    /// <summary>What a path shows, as JSON.</summary>
    public Task<string> GetAsync(string path) => _client.GetStringAsync(new Uri(path, UriKind.Relative));

    /// <param name="method">PUT to make, DELETE to delete, POST to act.</param>
    /// <param name="path">From <c>/api</c>.</param>
    /// <param name="body">Null for none.</param>
    /// <param name="ignoreMissing">What is gone already need not be deleted.</param>
    public async Task SendAsync(HttpMethod method, string path, object? body = null, bool ignoreMissing = false)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
        request.Content = JsonContent.Create(body ?? new { });
        using var response = await _client.SendAsync(request);
        if (!(ignoreMissing && response.StatusCode == HttpStatusCode.NotFound))
            response.EnsureSuccessStatusCode();
    }

    /// <summary>
    /// Closes a connection from the broker's side, and is done when the broker knows none of that name. The broker
    /// answers 500 for one that is just opening or ending by itself, so the name is asked for again.
    /// </summary>
    public async Task CloseConnectionAsync(string name)
    {
        for (var i = 1; ; i++)
        {
            using var response = await _client.DeleteAsync(
                new Uri($"/api/connections/{Uri.EscapeDataString(name)}", UriKind.Relative)
            );
            if (response.IsSuccessStatusCode || response.StatusCode == HttpStatusCode.NotFound)
                return;
            if (response.StatusCode != HttpStatusCode.InternalServerError || i == 100)
                response.EnsureSuccessStatusCode();
            await Task.Delay(50);
        }
    }

    public Task GrantAsync(string vhost, string user, BrokerUser may) =>
        SendAsync(
            HttpMethod.Put,
            $"/api/permissions/{vhost}/{user}",
            new
            {
                configure = may.Configure,
                write = may.Write,
                read = may.Read,
            }
        );

    /// <summary>Names of <c>queues</c> or <c>exchanges</c>, without those of the broker itself and of foreign services.</summary>
    public async Task<List<string>> NamesAsync(string vhost, string kind)
    {
        using var all = JsonDocument.Parse(await GetAsync($"/api/{kind}/{vhost}?columns=name"));
        return
        [
            .. all
                .RootElement.EnumerateArray()
                .Select(x => x.GetProperty("name").GetString()!)
                .Where(x => x.Length > 0 && !x.StartsWith("amq.", StringComparison.Ordinal))
                .Where(x => !x.StartsWith("client-", StringComparison.Ordinal)),
        ];
    }

    public void Dispose() => _client.Dispose();
}
