using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>RabbitMQ's management API with the worker's login: AMQP itself cannot say what is bound.</summary>
internal sealed class ManagementApi : IDisposable
{
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);

    private static readonly JsonSerializerOptions SnakeCase = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    private readonly HttpClient _client;
    private readonly string _bindings;

    /// <param name="url">Its address, such as <c>http://rabbitmq:15672</c>.</param>
    /// <param name="broker">Login and virtual host.</param>
    public ManagementApi(Uri url, Uri broker)
    {
        var login = new ConnectionFactory { Uri = broker };
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{login.UserName}:{login.Password}"));
        _bindings = $"api/bindings/{Uri.EscapeDataString(login.VirtualHost)}";
        _client = new HttpClient { BaseAddress = url, Timeout = AnswerLimit };
        _client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", basic);
    }

    /// <exception cref="HttpRequestException">It does not answer, or refuses the login.</exception>
    public async Task<IReadOnlyList<BrokerBinding>> BindingsAsync(CancellationToken cancellation) =>
        await _client.GetFromJsonAsync<BrokerBinding[]>(new Uri(_bindings, UriKind.Relative), SnakeCase, cancellation)
        ?? [];

    /// <returns>False where it is gone already.</returns>
    /// <exception cref="HttpRequestException">It does not answer, or refuses.</exception>
    public async Task<bool> UnbindAsync(BrokerBinding binding, CancellationToken cancellation)
    {
        var path = new Uri($"{_bindings}/{binding.Path}", UriKind.Relative);
        using var answer = await _client.DeleteAsync(path, cancellation);
        if (answer.StatusCode == HttpStatusCode.NotFound)
            return false;
        answer.EnsureSuccessStatusCode();
        return true;
    }

    public void Dispose() => _client.Dispose();
}
