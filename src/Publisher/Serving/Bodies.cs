using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pipeline.Publisher.Serving;

/// <summary>The bodies of commands: what is refused before it is read, and how it is read.</summary>
internal static class Bodies
{
    private static readonly JsonSerializerOptions Reading = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.Strict,
    };

    /// <summary>Only JSON: a web page of another origin may send forms and plain text without being asked, and JSON not.</summary>
    public static IResult? RefuseUnlessJson(HttpRequest request) =>
        request.HasJsonContentType()
            ? null
            : Problems.Of(
                StatusCodes.Status415UnsupportedMediaType,
                "unsupported-media-type",
                "The body must be application/json."
            );

    /// <summary>
    /// For bodies that a web page of another origin could send without being asked. A browser names the page's origin
    /// (Fetch standard, "origin" header); other clients name none.
    /// </summary>
    public static IResult? RefuseOtherOrigins(HttpRequest request) =>
        request.Headers.Origin.ToString() is { Length: > 0 } origin
        && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && page.Authority == request.Host.Value)
            ? Problems.Of(
                StatusCodes.Status403Forbidden,
                "other-origin",
                "A page of another origin may not send files here."
            )
            : null;

    /// <inheritdoc cref="RefuseUnlessJson"/>
    public static IResult? Refuse(HttpRequest request, Guid project) =>
        RefuseUnlessJson(request)
        ?? (project == Guid.Empty ? Problems.BadRequest("The project's id must not be all zeros.") : null);

    /// <exception cref="JsonException">No JSON, or of another shape.</exception>
    /// <exception cref="BadHttpRequestException">JSON's null.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request, CancellationToken cancellation)
        where T : class =>
        await JsonSerializer.DeserializeAsync<T>(request.Body, Reading, cancellation)
        ?? throw new BadHttpRequestException("The body must be a JSON object, not null.");

    public static IEnumerable<string> IdProblems(Guid project, Guid? command, Guid? named)
    {
        if (command == Guid.Empty)
            yield return "commandId: must not be all zeros";
        if (named is not null && named != project)
            yield return "projectId: is not the project of the address";
    }
}
