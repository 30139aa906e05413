using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.SystemTests.Harness;

/// <summary>What a test's provider does with one call.</summary>
internal enum ProviderAnswer
{
    Picture,
    Moderation,
    ServerError,
    Reset,
    HalfAPicture,
}

/// <summary>An OpenAI-compatible provider on loopback that counts its calls by prompt and answers as a test says.</summary>
internal sealed class ProviderStub : IAsyncDisposable
{
    // A transparent PNG of one pixel.
    private const string Picture =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
    private const string Moderated = """{"error":{"code":"moderation_blocked","message":"No."}}""";

    private readonly ConcurrentDictionary<string, int> _calls = new(StringComparer.Ordinal);
    private readonly Func<string, int, Task<ProviderAnswer>> _script;
    private HttpStub? _server;
    private int _failures;

    private ProviderStub(Func<string, int, Task<ProviderAnswer>> script) => _script = script;

    public Uri Endpoint => new(_server!.Url, "v1");

    public int Calls => _calls.Values.Sum();

    /// <summary>Calls that got something which may be better the next time.</summary>
    public int Failures => Volatile.Read(ref _failures);

    /// <param name="script">Gets the prompt and which call for it this is, from 1.</param>
    public static async Task<ProviderStub> StartAsync(Func<string, int, Task<ProviderAnswer>> script)
    {
        var stub = new ProviderStub(script);
        stub._server = await HttpStub.StartAsync((context, _) => stub.AnswerAsync(context));
        return stub;
    }

    public int CallsFor(string prompt) => _calls.GetValueOrDefault(prompt);

    /// <summary>Settings of a worker that knows this provider as a model.</summary>
    public IEnumerable<(string Name, string Value)> SettingsOf(string model) =>
        [
            ($"Models__{model}__Kind", "OpenAI"),
            ($"Models__{model}__Endpoint", Endpoint.ToString()),
            ($"Models__{model}__ApiKey", "none"),
        ];

    public ValueTask DisposeAsync() => _server!.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        var prompt = (string)body!["prompt"]!;
        var answer = await _script(prompt, _calls.AddOrUpdate(prompt, 1, (_, calls) => calls + 1));
        if (answer is ProviderAnswer.ServerError or ProviderAnswer.Reset or ProviderAnswer.HalfAPicture)
            Interlocked.Increment(ref _failures);
        switch (answer)
        {
            case ProviderAnswer.Moderation:
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                await context.Response.WriteAsync(Moderated);
                break;
            case ProviderAnswer.ServerError:
                context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                break;
            case ProviderAnswer.Reset:
                context.Abort();
                break;
            default:
                var file = Convert.FromBase64String(Picture);
                if (answer == ProviderAnswer.HalfAPicture)
                    file = file[..(file.Length / 2)];
                await context.Response.WriteAsync(
                    $$"""{"created":1,"data":[{"b64_json":"{{Convert.ToBase64String(file)}}"}]}"""
                );
                break;
        }
    }
}
