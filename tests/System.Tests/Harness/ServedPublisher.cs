using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Npgsql;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Settings;

namespace Pipeline.SystemTests.Harness;

/// <summary>The publisher's API beside the workers of a test's own pipeline, on a port of its own.</summary>
internal sealed class ServedPublisher : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ServedPublisher(WebApplication app, IConfiguration configuration)
    {
        _app = app;
        Configuration = configuration;
        Client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };
    }

    public HttpClient Client { get; }

    /// <summary>For verbs on the command line.</summary>
    public IConfiguration Configuration { get; }

    public static async Task<ServedPublisher> StartAsync(Stack stack)
    {
        var database = new NpgsqlConnectionStringBuilder(Stack.Required("ConnectionStrings__Status"))
        {
            Database = new NpgsqlConnectionStringBuilder(stack.Settings["ConnectionStrings__Postgres"]).Database,
        };
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Publisher:RabbitMq"] = stack.Broker.ToString(),
            ["Publisher:Url"] = "http://127.0.0.1:0",
            ["ConnectionStrings:Status"] = database.ConnectionString,
        };
        foreach (var name in new[] { "ServiceUrl", "Region", "Bucket", "AccessKey", "SecretKey" })
            settings[$"Storage:{name}"] =
                stack.Settings.GetValueOrDefault($"Storage__{name}") ?? Stack.Required($"Storage__{name}");
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        var app = PublisherApp.Build(new PublisherSettings(configuration), TimeProvider.System);
        await app.StartAsync();
        return new ServedPublisher(app, configuration);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }
}
