using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Harness;
using Pipeline.Workers.Webhooks;

namespace Pipeline.Workers.Tests.Webhooks;

/// <summary>A receiver that verifies, keeps what came, and answers as the test says.</summary>
internal sealed class Receiver(Func<HttpContext, int, Task> answer) : IAsyncDisposable
{
    private readonly ConcurrentQueue<Received> _received = new();
    private HttpStub? _stub;

    public Uri Url => new(_stub!.Url, "/hook?token=in-the-query");

    public Received[] All => [.. _received];

    public static Task<Receiver> StartAsync(params int[] statuses) =>
        StartAsync(
            (context, number) =>
            {
                context.Response.StatusCode = number <= statuses.Length ? statuses[number - 1] : 200;
                return Task.CompletedTask;
            }
        );

    public static async Task<Receiver> StartAsync(Func<HttpContext, int, Task> answer)
    {
        var receiver = new Receiver(answer);
        receiver._stub = await HttpStub.StartAsync(receiver.TakeAsync);
        return receiver;
    }

    public async ValueTask DisposeAsync()
    {
        if (_stub is not null)
            await _stub.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext context, int number)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        string Header(string name) => context.Request.Headers[name].ToString();
        var (id, timestamp) = (Header("webhook-id"), long.Parse(Header("webhook-timestamp")));
        var bytes = body.ToArray();
        var isSigned =
            Header("webhook-signature") == WebhookSignature.Sign(WebhookPipeline.Secret, id, timestamp, bytes);
        _received.Enqueue(new Received(id, isSigned, JsonElement.Parse(Encoding.UTF8.GetString(bytes))));
        await answer(context, number);
    }
}

/// <summary>What came.</summary>
internal sealed record Received(string Id, bool IsSigned, JsonElement Body);
