using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using MassTransit;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Models;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>
/// The render queue on the real servers, with a real web server in the provider's place. Each test takes models of its
/// own, and scripts what the provider answers for them.
/// </summary>
public sealed class RenderPipeline : SlicePipeline
{
    /// <summary>As configured here: short, so that a test sees several of them.</summary>
    public static readonly TimeSpan LeaseLength = TimeSpan.FromSeconds(1.5);

    private const int Models = 80;
    private const int OutageThreshold = 3;

    private readonly ConcurrentDictionary<string, ScriptedModel> _scripts = new(StringComparer.Ordinal);
    private readonly ConsumedMessages _consumed = new();
    private HttpStub _provider = null!;
    private int _taken;

    internal Uri ProviderUrl => _provider.Url;

    public override async Task InitializeAsync()
    {
        _provider = await HttpStub.StartAsync(AnswerAsync);
        await base.InitializeAsync();
        Worker.Services.GetRequiredService<IBus>().ConnectConsumeObserver(_consumed);
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _provider.DisposeAsync();
    }

    /// <param name="answer">Gets each call with its number, from 1.</param>
    internal ScriptedModel Script(Func<HttpContext, int, Task> answer)
    {
        var model = new ScriptedModel($"model-{Interlocked.Increment(ref _taken)}", answer);
        _scripts[model.Name] = model;
        return model;
    }

    internal ScriptedModel Script(int status, string json, params (string Name, string Value)[] headers) =>
        Script(
            (context, _) =>
            {
                context.Response.StatusCode = status;
                foreach (var (name, value) in headers)
                    context.Response.Headers[name] = value;
                return context.Response.WriteAsync(json);
            }
        );

    internal ScriptedModel Script(byte[] picture) => Script(200, Base64(picture));

    internal static string Base64(byte[] picture) =>
        new JsonObject
        {
            ["created"] = 1,
            ["data"] = new JsonArray(new JsonObject { ["b64_json"] = Convert.ToBase64String(picture) }),
        }.ToJsonString();

    internal static RenderImage NewRender(string model) =>
        new(Guid.NewGuid(), 1, "a red boat", model, 64, 96, 7, Options: null);

    /// <returns>The message's id.</returns>
    internal async Task<Guid> SendAsync(RenderImage message)
    {
        var id = Guid.NewGuid();
        await SendAsync(message, id);
        return id;
    }

    /// <summary>Sends and waits until the consumer is done with it, whether or not it told anything.</summary>
    internal async Task ConsumeAsync(RenderImage message) => await ConsumedAsync(await SendAsync(message));

    internal Task ConsumedAsync(Guid messageId) => _consumed.DoneAsync(messageId);

    /// <summary>Sends and waits for what the saga is told.</summary>
    internal async Task<T> RenderAsync<T>(RenderImage message)
    {
        await SendAsync(message);
        return await AnswerAsync<T>(message);
    }

    internal async Task<T> AnswerAsync<T>(RenderImage message)
    {
        var exchange = WireNames.ExchangeOf<T>();
        var told = await WaitForAsync(
            "select exchange || ' ' || convert_from(body, 'utf8') from pipeline.outbox where routing_key = $1::text",
            message.GenerationId
        );
        return told.StartsWith(exchange + " ", StringComparison.Ordinal)
            ? JsonSerializer.Deserialize<T>(told[exchange.Length..], WireJson.Options)
                ?? throw new InvalidOperationException(told)
            : throw new InvalidOperationException($"Not {exchange}: {told}");
    }

    internal Task<uint> DeadLettersAsync() => DeadLettersAsync("render-image");

    /// <summary>Ends this worker process and begins another one, which knows nothing but the database.</summary>
    internal async Task<IHost> ReplaceWorkerAsync()
    {
        await Worker.StopAsync();
        var next = BuildHost();
        await next.StartAsync();
        return next;
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings()
    {
        yield return new("Rendering:LeaseLength", LeaseLength.ToString());
        yield return new("Rendering:AttemptTimeout", "00:05:00");
        yield return new("Rendering:TurnPatience", "00:00:00.500");
        yield return new("Rendering:OutageThreshold", $"{OutageThreshold}");
        yield return new("Rendering:OutagePause", "00:05:00");
        for (var model = 1; model <= Models; model++)
        {
            var section = $"{ModelOptions.Section}:model-{model}";
            yield return new($"{section}:Kind", nameof(ProviderKind.OpenAI));
            yield return new($"{section}:Endpoint", new Uri(_provider.Url, "v1").ToString());
            yield return new($"{section}:ApiKey", "secret");
            yield return new($"{section}:TakesSeed", "true");
            yield return new($"{section}:AllowPrivateNetworks", "true"); // The stub is on loopback.
        }

        yield return new($"{ModelOptions.Section}:hasty:Kind", nameof(ProviderKind.OpenAI));
        yield return new($"{ModelOptions.Section}:hasty:Endpoint", new Uri(_provider.Url, "v1").ToString());
        yield return new($"{ModelOptions.Section}:hasty:AttemptTimeout", "00:00:01");
        yield return new($"{ModelOptions.Section}:single:Kind", nameof(ProviderKind.OpenAI));
        yield return new($"{ModelOptions.Section}:single:Endpoint", new Uri(_provider.Url, "v1").ToString());
        yield return new($"{ModelOptions.Section}:single:Concurrency", "1");
        yield return new($"{ModelOptions.Section}:public:Kind", nameof(ProviderKind.OpenAI));
        yield return new($"{ModelOptions.Section}:public:Endpoint", new Uri(_provider.Url, "v1").ToString());
    }

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddRendering(configuration);

    /// <summary>Gives a configured model that has a name of its own a script.</summary>
    internal ScriptedModel Script(string model, Func<HttpContext, int, Task> answer) =>
        _scripts[model] = new ScriptedModel(model, answer);

    private async Task AnswerAsync(HttpContext context, int number)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            await _scripts[context.Request.Path.Value?.Split('/')[1] ?? ""].ServeAsync(context);
            return;
        }

        var body = await JsonNode.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        await _scripts[(string?)body?["model"] ?? ""].CallAsync(context, body);
    }
}
