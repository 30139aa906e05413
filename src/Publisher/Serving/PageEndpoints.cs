using System.Reflection;
using System.Text;

namespace Pipeline.Publisher.Serving;

/// <summary>The pages for people: static files inside the program that read the same API as everybody else.</summary>
internal static class PageEndpoints
{
    /// <param name="routes">Where they are mapped.</param>
    /// <param name="pictures">The object store as browsers reach it; null for AWS.</param>
    public static void MapPages(this IEndpointRouteBuilder routes, Uri? pictures)
    {
        var store = pictures?.GetLeftPart(UriPartial.Authority) ?? "https://*.amazonaws.com";
        // Scene ids and prompts come from outside; whatever slips into the page must not run.
        var policy =
            $"default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' {store}; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

        Map(routes, "/", "dashboard.html", "text/html", policy);
        Map(routes, "/projects/{id:guid}/view", "project.html", "text/html", policy);
        Map(routes, "/pages/dashboard.js", "dashboard.js", "text/javascript", policy);
        Map(routes, "/pages/project.js", "project.js", "text/javascript", policy);
        Map(routes, "/pages/pages.css", "pages.css", "text/css", policy);
    }

    private static void Map(IEndpointRouteBuilder routes, string path, string file, string type, string policy)
    {
        var text = Read(file);
        routes.MapGet(
            path,
            (HttpResponse response) =>
            {
                response.Headers.ContentSecurityPolicy = policy;
                response.Headers.XContentTypeOptions = "nosniff";
                response.Headers.CacheControl = "no-cache";
                return Results.Text(text, type, Encoding.UTF8);
            }
        );
    }

    private static string Read(string file)
    {
        using var stream =
            Assembly.GetExecutingAssembly().GetManifestResourceStream(file)
            ?? throw new InvalidOperationException($"{file} is not embedded: see Publisher.csproj.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
