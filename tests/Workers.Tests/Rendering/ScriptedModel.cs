using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Pipeline.Workers.Tests.Rendering;

/// <summary>One model of the provider in the tests.</summary>
internal sealed class ScriptedModel(string name, Func<HttpContext, int, Task> answer)
{
    private readonly TaskCompletionSource _called = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _calls;

    public string Name => name;

    /// <summary>Requests for a picture; fetching its URL is none.</summary>
    public int Calls => Volatile.Read(ref _calls);

    public JsonNode? LastBody { get; private set; }

    public string? LastPath { get; private set; }

    /// <summary>Done when the first call has come.</summary>
    public Task Called => _called.Task.WaitAsync(TimeSpan.FromSeconds(60));

    /// <summary>Answers <c>GET /{name}/…</c>, where the pictures' URLs lead.</summary>
    public Func<HttpContext, Task> ServeAsync { get; set; } =
        context => Task.FromResult(context.Response.StatusCode = StatusCodes.Status404NotFound);

    public Task CallAsync(HttpContext context, JsonNode? body)
    {
        (LastBody, LastPath) = (body, context.Request.Path.Value);
        var call = Interlocked.Increment(ref _calls);
        _called.TrySetResult();
        return answer(context, call);
    }
}
