using System.Text;
using Pipeline.Publisher.Serving;
using Pipeline.Wire.Schemas;

namespace Pipeline.Publisher.Describing;

/// <summary>What the messages look like, for machines and for people.</summary>
internal static class DescriptionEndpoints
{
    // JSON Schema core, draft 2020-12, section 14 (its registration with IANA is pending).
    private const string SchemaType = "application/schema+json";

    // AsyncAPI initiative, "Media types".
    private const string DocumentType = "application/vnd.aai.asyncapi+json;version=3.0.0";

    private const string PagePolicy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public static void MapDescriptions(this IEndpointRouteBuilder routes)
    {
        var document = AsyncApiDocument.WriteText();
        var page = AsyncApiPage.Write();
        routes.MapGet("/asyncapi.json", () => Results.Text(document, DocumentType, Encoding.UTF8));
        routes.MapGet(
            "/asyncapi",
            (HttpResponse response) =>
            {
                response.Headers.ContentSecurityPolicy = PagePolicy;
                response.Headers.XContentTypeOptions = "nosniff";
                return Results.Text(page, "text/html", Encoding.UTF8);
            }
        );
        routes.MapGet(
            "/schemas/{message}.json",
            (string message) =>
                MessageCatalog.TryFind(message, out var contract) && contract.Kind != MessageKind.Internal
                    ? Results.Text(contract.Schema().ToJsonString(AsyncApiDocument.Indented), SchemaType, Encoding.UTF8)
                    : Problems.OfStatus(StatusCodes.Status404NotFound)
        );
    }
}
