using System.Net.Mime;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Pipeline.Publisher.Serving;

/// <summary>Marks of what was answered, so that whoever has it already gets no body.</summary>
internal static class ETags
{
    private const int HashBytes = 16;

    /// <summary>A mark that changes with the content, in its quotes.</summary>
    public static string Of(ReadOnlySpan<byte> content) =>
        $"\"{Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, HashBytes))}\"";

    /// <inheritdoc cref="Of(ReadOnlySpan{byte})"/>
    public static string Of(string content) => Of(Encoding.UTF8.GetBytes(content));

    /// <summary>RFC 9110, 13.1.2: weak comparison, a list, or "*" for whatever there is.</summary>
    public static bool IsKnown(HttpRequest request, string etag) =>
        EntityTagHeaderValue.TryParseList(request.Headers.IfNoneMatch, out var known)
        && known.Any(x => x.Equals(EntityTagHeaderValue.Any) || x.Tag == etag);
}

/// <summary>JSON that is never answered from a cache without asking, and not sent again to whoever has it.</summary>
internal static class Fresh
{
    public static IResult Json<T>(HttpRequest request, T value)
    {
        var options = request.HttpContext.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value;
        var body = JsonSerializer.SerializeToUtf8Bytes(value, options.SerializerOptions);
        var headers = request.HttpContext.Response.Headers;
        headers.CacheControl = "no-cache";
        headers.ETag = ETags.Of(body);
        return ETags.IsKnown(request, headers.ETag.ToString())
            ? Results.StatusCode(StatusCodes.Status304NotModified)
            : Results.Bytes(body, $"{MediaTypeNames.Application.Json}; charset=utf-8");
    }
}
