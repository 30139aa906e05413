using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.SystemTests.Harness;

/// <summary>A receiver as Standard Webhooks describes it: it verifies with its own means, and may be killed and come back.</summary>
internal sealed class WebhookReceiver(Func<int, Task<int>> statusOf) : IAsyncDisposable
{
    private readonly ConcurrentQueue<(string Id, int Status)> _answered = new();
    private HttpStub? _stub;
    private int _requests;

    /// <summary>Set once the publisher has printed it.</summary>
    public string Secret { get; set; } = "";

    public Uri Url { get; private set; } = new("http://127.0.0.1");

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Requests whose signature did not verify.</summary>
    public ConcurrentQueue<string> Forged { get; } = new();

    /// <summary>Ids in the order of their answers, with what was answered.</summary>
    public (string Id, int Status)[] Answered => [.. _answered];

    public async Task StartAsync()
    {
        _stub = await HttpStub.StartAsync(TakeAsync, Url.IsDefaultPort ? 0 : Url.Port);
        Url = _stub.Url;
    }

    /// <summary>Ends it in the middle of whatever it does; its address refuses connections from now on.</summary>
    public async Task KillAsync()
    {
        if (_stub is not null)
            await _stub.DisposeAsync();
        _stub = null;
    }

    public async ValueTask DisposeAsync() => await KillAsync();

    private async Task TakeAsync(HttpContext context, int number)
    {
        var request = Interlocked.Increment(ref _requests);
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        string Header(string name) => context.Request.Headers[name].ToString();
        var id = Header("webhook-id");
        var signed = Encoding.UTF8.GetBytes($"{id}.{Header("webhook-timestamp")}.").Concat(body.ToArray()).ToArray();
        var key = Convert.FromBase64String(Secret["whsec_".Length..]);
        if (Header("webhook-signature") != $"v1,{Convert.ToBase64String(HMACSHA256.HashData(key, signed))}")
            Forged.Enqueue(id);

        var status = await statusOf(request).WaitAsync(context.RequestAborted);
        context.Response.StatusCode = status;
        _answered.Enqueue((id, status));
    }
}
