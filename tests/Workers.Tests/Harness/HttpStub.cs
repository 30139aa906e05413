using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>A real web server on loopback that behaves as a test tells it to.</summary>
internal sealed class HttpStub : IAsyncDisposable
{
    private readonly WebApplication _server;
    private int _requests;

    private HttpStub(WebApplication server) => _server = server;

    public Uri Url => new(_server.Urls.Single());

    public int Requests => Volatile.Read(ref _requests);

    /// <param name="answer">Gets each request with its number, from 1.</param>
    /// <param name="port">That of an earlier one that was stopped; 0 for any.</param>
    public static async Task<HttpStub> StartAsync(Func<HttpContext, int, Task> answer, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        var stub = new HttpStub(builder.Build());
        stub._server.Run(context => answer(context, Interlocked.Increment(ref stub._requests)));
        await stub._server.StartAsync();
        return stub;
    }

    public static Task<HttpStub> StartAsync(byte[] body) =>
        StartAsync((context, _) => context.Response.Body.WriteAsync(body).AsTask());

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1)); // Endless answers are cut off.
        await _server.StopAsync(now.Token);
        await _server.DisposeAsync();
    }
}
