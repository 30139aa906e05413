using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Formats;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.SystemTests.Harness;

/// <summary>An answer of the provider to one call.</summary>
internal delegate Task ProviderStep(HttpContext call);

/// <summary>
/// An OpenAI-compatible provider on loopback with a script for each model, or for a prompt: its n-th call gets the n-th
/// step, and every further one the last. It writes down when it was called.
/// </summary>
internal sealed class ScriptedProvider : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, ProviderStep[]> _scripts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, List<DateTimeOffset>> _calls = new(StringComparer.Ordinal);
    private HttpStub _server = null!;

    public static async Task<ScriptedProvider> StartAsync()
    {
        var provider = new ScriptedProvider();
        provider._server = await HttpStub.StartAsync((context, _) => provider.AnswerAsync(context));
        return provider;
    }

    public static ProviderStep Picture(int width = 3) => call => call.Response.WriteAsync(Base64(TinyFiles.Png(width)));

    public static ProviderStep HalfAPicture => call => call.Response.WriteAsync(Base64(TinyFiles.Png()[..^20]));

    public static ProviderStep Silence => call => new TaskCompletionSource().Task.WaitAsync(call.RequestAborted);

    public static ProviderStep Reset =>
        call =>
        {
            call.Abort();
            return Task.CompletedTask;
        };

    /// <summary>A picture that can be fetched from this provider, or whose URL has expired.</summary>
    public static ProviderStep Url(bool expired) =>
        call =>
        {
            var url = $"http://{call.Request.Host}/{(expired ? "expired" : "picture")}.png";
            return call.Response.WriteAsJsonAsync(new { data = new[] { new { url } } });
        };

    public static ProviderStep Error(int status, string? code = null, string? header = null, string value = "") =>
        call =>
        {
            call.Response.StatusCode = status;
            if (header is not null)
                call.Response.Headers[header] = value;
            return call.Response.WriteAsync(
                code is null ? "" : $$$"""{"error":{"code":"{{{code}}}","message":"No."}}"""
            );
        };

    /// <param name="first">Done when the call has come.</param>
    /// <param name="then">Begins when this is done.</param>
    /// <param name="step">What it is answered.</param>
    public static ProviderStep Held(TaskCompletionSource first, Task then, ProviderStep step) =>
        async call =>
        {
            first.TrySetResult();
            await then;
            await step(call);
        };

    /// <param name="name">A model, or a prompt that has a script of its own.</param>
    /// <param name="steps">At least one.</param>
    public void Script(string name, params ProviderStep[] steps) => _scripts[name] = steps;

    /// <summary>When a script was called, in order.</summary>
    public DateTimeOffset[] CallsOf(string name)
    {
        if (!_calls.TryGetValue(name, out var calls))
            return [];
        lock (calls)
            return [.. calls];
    }

    /// <summary>Settings of a worker that knows this provider under a model's name.</summary>
    public IEnumerable<(string Name, string Value)> SettingsOf(string model) =>
        [
            ($"Models__{model}__Kind", "OpenAI"),
            ($"Models__{model}__Endpoint", new Uri(_server.Url, "v1").ToString()),
            ($"Models__{model}__ApiKey", "none"),
            ($"Models__{model}__Concurrency", "64"),
            ($"Models__{model}__AllowPrivateNetworks", "true"), // Its pictures' URLs are on loopback.
        ];

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static string Base64(byte[] file) =>
        $$"""{"created":1,"data":[{"b64_json":"{{Convert.ToBase64String(file)}}"}]}""";

    private async Task AnswerAsync(HttpContext call)
    {
        if (!HttpMethods.IsPost(call.Request.Method))
        {
            if (call.Request.Path == "/picture.png")
                await call.Response.Body.WriteAsync(TinyFiles.Png());
            else
                call.Response.StatusCode = StatusCodes.Status403Forbidden; // As S3 answers for a URL that has expired.
            return;
        }

        var body = await JsonNode.ParseAsync(call.Request.Body, cancellationToken: call.RequestAborted);
        var (model, prompt) = ((string)body!["model"]!, (string)body["prompt"]!);
        var name = _scripts.ContainsKey(prompt) ? prompt : model;
        var calls = _calls.GetOrAdd(name, _ => []);
        int number;
        lock (calls)
        {
            calls.Add(DateTimeOffset.UtcNow);
            number = calls.Count;
        }

        var script = _scripts[name];
        await script[Math.Min(number, script.Length) - 1](call);
    }
}
