using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>What a project's storage server answers to one request to sign.</summary>
internal sealed record SignCall(string Key, string? Format, long ExpiresIn);

/// <summary>A stand-in for the signing call of Supabase Storage, over real HTTP.</summary>
internal sealed class SupabaseStub : IAsyncDisposable
{
    /// <summary>The answer of seeds/000, as the server words it.</summary>
    public const string FormatError = "body/transform/format must be equal to one of the allowed values";

    private readonly List<SignCall> _calls = [];
    private HttpStub _server = null!;

    /// <summary>Decides each answer; null for the URL that was asked for.</summary>
    public Func<SignCall, Task<(int Status, string Body)?>> Answer { get; set; } =
        _ => Task.FromResult<(int, string)?>(null);

    public Uri Url => _server.Url;

    public IReadOnlyList<SignCall> Calls
    {
        get
        {
            lock (_calls)
                return [.. _calls];
        }
    }

    public static (int Status, string Body)? Refusal =>
        (
            400,
            JsonSerializer.Serialize(
                new
                {
                    statusCode = "400",
                    error = "Error",
                    message = FormatError,
                }
            )
        );

    public static async Task<SupabaseStub> StartAsync()
    {
        var stub = new SupabaseStub();
        stub._server = await HttpStub.StartAsync((context, number) => stub.ServeAsync(context, number));
        return stub;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task ServeAsync(HttpContext context, int number)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var format =
            body.RootElement.TryGetProperty("transform", out var transform)
            && transform.TryGetProperty("format", out var name)
                ? name.GetString()
                : null;
        var path = context.Request.Path.Value!;
        const string Root = "/storage/v1/object/sign/";
        var call = new SignCall(path[Root.Length..], format, body.RootElement.GetProperty("expiresIn").GetInt64());
        lock (_calls)
            _calls.Add(call);
        var kind = format is null ? "object" : "render/image";
        var (status, text) =
            await Answer(call) ?? (200, $$"""{"signedURL":"/{{kind}}/sign/{{call.Key}}?token={{number}}"}""");
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(text);
    }
}
