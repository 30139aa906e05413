using System.Text;
using System.Xml.Linq;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Pipeline.SystemTests.Harness;

/// <summary>A request to the store, as a test sees it before it is passed on.</summary>
/// <param name="Kind"><c>list</c>, <c>delete</c> (of several), <c>head</c>, or the method in lower case.</param>
/// <param name="Keys">Of a delete of several.</param>
/// <param name="Key">Of a request about one object; empty for any other.</param>
internal sealed record S3Call(string Kind, IReadOnlyList<string> Keys, string Key = "")
{
    /// <summary>True where the request is about the object, alone or among others.</summary>
    public bool IsAbout(string key) => Key == key || Keys.Contains(key, StringComparer.Ordinal);
}

/// <summary>What becomes of a request.</summary>
internal enum S3Fate
{
    /// <summary>The store answers it.</summary>
    Pass,

    /// <summary>The connection breaks, and the store never sees it.</summary>
    Break,

    /// <summary>The store carries it out, and the connection breaks before its answer.</summary>
    BreakAfter,

    /// <summary>The answer is an error that no retry and no setting mends: 400 InvalidArgument.</summary>
    Refuse,

    /// <summary>The store is not asked; a list has an object that no client can name.</summary>
    Garble,
}

/// <summary>
/// Stands in front of the real S3 server. It passes requests on as they are, signature included, and lets a test switch
/// the server off, break a request at its beginning or its end, or have one key of a deletion refused.
/// </summary>
internal sealed class S3Proxy : IAsyncDisposable
{
    private static readonly XNamespace S3 = "http://s3.amazonaws.com/doc/2006-03-01/";

    private WebApplication _server = null!;
    private readonly HttpClient _store = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    private readonly Uri _target = new(Stack.Required("Storage__ServiceUrl"));
    private readonly AmazonS3Client _client;

    private S3Proxy(AmazonS3Client client) => _client = client;

    public string Url { get; private set; } = "http://127.0.0.1:0";

    /// <summary>Asked for each request; all pass by default.</summary>
    public Func<S3Call, Task<S3Fate>> Fate { get; set; } = _ => Task.FromResult(S3Fate.Pass);

    /// <summary>A key that the store refuses to delete while it is set; the others of the same request are deleted.</summary>
    public string? LockedKey { get; set; }

    public static async Task<S3Proxy> StartAsync(AmazonS3Client client)
    {
        var proxy = new S3Proxy(client);
        await proxy.ListenAsync();
        return proxy;
    }

    /// <summary>Ends the server: connections are cut, and nobody listens at its address any more.</summary>
    public async Task StopAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.Zero);
        await _server.StopAsync(now.Token);
        await _server.DisposeAsync();
    }

    /// <summary>Listens, after <see cref="StopAsync"/> at the same address.</summary>
    public async Task ListenAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(Url);
        _server = builder.Build();
        _server.Run(AnswerAsync);
        await _server.StartAsync();
        Url = _server.Urls.Single();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _store.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var buffer = new MemoryStream();
        await context.Request.Body.CopyToAsync(buffer);
        var body = buffer.ToArray();
        var call = CallOf(context.Request, body);
        var fate = await Fate(call);
        if (fate == S3Fate.Break)
        {
            context.Abort();
            return;
        }

        if (fate == S3Fate.Refuse)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            var error = new XElement("Error", new XElement("Code", "InvalidArgument"), new XElement("Message", "test"));
            await context.Response.WriteAsync(error.ToString(), Encoding.UTF8);
            return;
        }

        if (fate == S3Fate.Garble)
        {
            await context.Response.WriteAsync(
                """
                <ListBucketResult><Name>any</Name><Contents><Key>projects/../x</Key><Size>1</Size>
                <LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>
                """
            );
            return;
        }

        if (LockedKey is { } locked && call.Keys.Contains(locked, StringComparer.Ordinal))
        {
            await RefuseAsync(context, call, locked);
            return;
        }

        var target = new Uri(_target, context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget);
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), target);
        request.Content = new ByteArrayContent(body);
        foreach (var header in context.Request.Headers)
        {
            if (!request.Headers.TryAddWithoutValidation(header.Key, header.Value.ToArray()))
                request.Content.Headers.TryAddWithoutValidation(header.Key, header.Value.ToArray());
        }

        request.Headers.Host = context.Request.Host.Value; // It is part of what is signed.
        using var answer = await _store.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (fate == S3Fate.BreakAfter)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = (int)answer.StatusCode;
        foreach (var header in answer.Headers.Concat(answer.Content.Headers))
        {
            if (header.Key is not ("Transfer-Encoding" or "Connection" or "Keep-Alive"))
                context.Response.Headers[header.Key] = header.Value.ToArray();
        }

        if (context.Request.Method != HttpMethods.Head)
            await answer.Content.CopyToAsync(context.Response.Body);
    }

    private async Task RefuseAsync(HttpContext context, S3Call call, string locked)
    {
        var bucket = context.Request.Path.Value!.Split('/')[1];
        foreach (var key in call.Keys.Where(x => x != locked))
            await _client.DeleteObjectAsync(new DeleteObjectRequest { BucketName = bucket, Key = key });
        var answer = new XElement(
            S3 + "DeleteResult",
            new XElement(
                S3 + "Error",
                new XElement(S3 + "Key", locked),
                new XElement(S3 + "Code", "AccessDenied"),
                new XElement(S3 + "Message", "locked by the test")
            )
        );
        context.Response.ContentType = "application/xml";
        await context.Response.WriteAsync(answer.ToString(), Encoding.UTF8);
    }

    private static S3Call CallOf(HttpRequest request, byte[] body)
    {
        if (request.Method == HttpMethods.Post && request.Query.ContainsKey("delete"))
        {
            using var text = new MemoryStream(body);
            string[] keys =
            [
                .. XDocument.Load(text).Descendants().Where(x => x.Name.LocalName == "Key").Select(x => x.Value),
            ];
            return new S3Call("delete", keys);
        }

        var kind = request.Query.ContainsKey("list-type") ? "list" : request.Method.ToLowerInvariant();
        return new S3Call(kind, [], request.Path.Value!.TrimStart('/').Split('/', 2) is [_, var key] ? key : "");
    }
}
