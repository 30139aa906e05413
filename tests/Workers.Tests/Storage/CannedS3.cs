using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Pipeline.Workers.Tests.Storage;

/// <summary>Answers every request alike: for the failures that a healthy S3 server cannot be asked to show.</summary>
internal sealed class CannedS3 : IAsyncDisposable
{
    private readonly WebApplication _server;
    private int _requests;

    private CannedS3(WebApplication server) => _server = server;

    public string Url => _server.Urls.Single();

    public ConcurrentQueue<IQueryCollection> Queries { get; } = [];

    public int Requests => Volatile.Read(ref _requests);

    /// <param name="status">The answer's status.</param>
    /// <param name="code">S3's error code, put into S3's error body.</param>
    /// <param name="body">The whole body instead.</param>
    /// <param name="thenSucceedAfter">After so many answers the next ones are 200 with no body.</param>
    /// <param name="bodies">A body for each answer instead.</param>
    public static async Task<CannedS3> StartAsync(
        int status,
        string code = "",
        string? body = null,
        int thenSucceedAfter = int.MaxValue,
        string[]? bodies = null
    )
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var canned = new CannedS3(builder.Build());
        canned._server.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            canned.Queries.Enqueue(context.Request.Query);
            var number = Interlocked.Increment(ref canned._requests);
            if (number > thenSucceedAfter)
                return;
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/xml";
            await context.Response.WriteAsync(
                bodies?[Math.Min(number, bodies.Length) - 1]
                    ?? body
                    ?? $"<Error><Code>{code}</Code><Message>Canned.</Message></Error>"
            );
        });
        await canned._server.StartAsync();
        return canned;
    }

    /// <param name="bodies">The answers, one after the other; the last one again and again.</param>
    public static Task<CannedS3> StartAsync(string[] bodies) => StartAsync(200, bodies: bodies);

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
