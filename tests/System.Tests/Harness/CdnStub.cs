using System.Xml.Linq;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.SystemTests.Harness;

/// <summary>CloudFront's API and a cache that takes PURGE, over real HTTP.</summary>
internal sealed class CdnStub : IAsyncDisposable
{
    private readonly List<string> _told = [];
    private readonly List<string> _references = [];
    private HttpStub _server = null!;

    public IEnumerable<(string Name, string Value)> Settings =>
        [
            ("Cdn__CloudFront__DistributionId", "EDFDVBD6EXAMPLE"),
            ("Cdn__CloudFront__AccessKey", "AKIDEXAMPLE"),
            ("Cdn__CloudFront__SecretKey", "secret"),
            ("Cdn__CloudFront__Endpoint", _server.Url.ToString()),
            ("Cdn__Purge__Url", _server.Url.ToString()),
        ];

    /// <summary>Asked for each PURGE before it is answered; a test may end the worker here. CloudFront has answered then.</summary>
    public Func<Task> BeforeAnswer { get; set; } = () => Task.CompletedTask;

    /// <summary>What the cache answers with.</summary>
    public int Status { get; set; } = StatusCodes.Status200OK;

    /// <summary>Keys that the cache was told of, in order, repetitions included.</summary>
    public IReadOnlyList<string> Told => Copy(_told);

    /// <summary>The <c>CallerReference</c> of each invalidation that CloudFront was asked for.</summary>
    public IReadOnlyList<string> References => Copy(_references);

    public static async Task<CdnStub> StartAsync()
    {
        var stub = new CdnStub();
        stub._server = await HttpStub.StartAsync(
            (context, _) =>
                context.Request.Method == HttpMethods.Post ? stub.InvalidateAsync(context) : stub.PurgeAsync(context)
        );
        return stub;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task InvalidateAsync(HttpContext context)
    {
        var batch = await XElement.LoadAsync(context.Request.Body, LoadOptions.None, CancellationToken.None);
        Keep(_references, batch.Elements().Single(x => x.Name.LocalName == "CallerReference").Value);
        context.Response.StatusCode = StatusCodes.Status201Created;
    }

    private async Task PurgeAsync(HttpContext context)
    {
        Keep(_told, context.Request.Path.Value!.TrimStart('/'));
        await BeforeAnswer();
        context.Response.StatusCode = Status;
    }

    private static void Keep(List<string> list, string item)
    {
        lock (list)
            list.Add(item);
    }

    private static List<string> Copy(List<string> list)
    {
        lock (list)
            return [.. list];
    }
}
