using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Publisher.Describing;

/// <summary>The same as the AsyncAPI document, for people: one page, made of the same parts.</summary>
internal static partial class AsyncApiPage
{
    private const string Top = """
        <!doctype html>
        <html lang="en">
        <head>
          <meta charset="utf-8">
          <meta name="viewport" content="width=device-width, initial-scale=1">
          <title>Messages of the image pipeline</title>
          <link rel="stylesheet" href="/pages/pages.css">
        </head>
        <body>
          <h1>Messages of the image pipeline</h1>

        """;

    // Keywords of a schema that are said elsewhere on the page.
    private static readonly string[] SaidElsewhere = ["description", "properties", "items", "required"];

    public static string Write()
    {
        var document = AsyncApiDocument.Write();
        var page = new StringBuilder(Top);
        page.Append("  <p>").Append(Text((string?)document["info"]!["description"])).Append("</p>\n");
        page.Append("  <p>As AsyncAPI: <a href=\"/asyncapi.json\">/asyncapi.json</a>. ");
        page.Append("One schema: <code>/schemas/{message}.json</code>.</p>\n");
        Contents(page, "Commands", MessageCatalog.Public.Where(x => x.IsCommand));
        Contents(page, "Events", MessageCatalog.Public.Where(x => !x.IsCommand));
        Outcomes(page);
        foreach (var message in MessageCatalog.Public.OrderByDescending(x => x.IsCommand))
            Message(page, message);
        return page.Append("</body>\n</html>\n").ToString();
    }

    private static void Contents(StringBuilder page, string title, IEnumerable<MessageContract> messages)
    {
        page.Append("  <h2>").Append(title).Append("</h2>\n  <table>\n");
        foreach (var message in messages)
        {
            page.Append("    <tr><td><a href=\"#").Append(message.Name).Append("\">").Append(message.Name);
            page.Append("</a></td><td>").Append(Text(message.Summary)).Append("</td></tr>\n");
        }

        page.Append("  </table>\n");
    }

    private static void Outcomes(StringBuilder page)
    {
        page.Append("  <h2>Outcomes of a command</h2>\n  <table>\n");
        foreach (var (outcome, meaning) in MessageCatalog.Outcomes)
            page.Append("    <tr><td><code>")
                .Append(outcome)
                .Append("</code></td><td>")
                .Append(Text(meaning))
                .Append("</td></tr>\n");
        page.Append("  </table>\n");
    }

    private static void Message(StringBuilder page, MessageContract message)
    {
        page.Append("  <h2 id=\"").Append(message.Name).Append("\">").Append(message.Name).Append("</h2>\n");
        page.Append("  <p>").Append(Text(message.Summary)).Append("</p>\n");
        if (message.Remarks is not null)
            page.Append("  <p>").Append(Text(message.Remarks)).Append("</p>\n");
        page.Append("  <p class=\"muted\">").Append(message.IsCommand ? "Publish to" : "Bind a queue to");
        page.Append(" the ")
            .Append(AsyncApiDocument.ExchangeTypeOf(message))
            .Append(" exchange <code>")
            .Append(message.Name);
        page.Append("</code>. <a href=\"/schemas/").Append(message.Name).Append(".json\">Schema</a></p>\n");
        page.Append("  <div class=\"scroll\"><table>\n");
        page.Append("    <tr><th>Property</th><th>Type</th><th>Rule</th><th>Meaning</th></tr>\n");
        Rows(page, message.Schema(), prefix: "");
        page.Append("  </table></div>\n");
        if (message.Example is not null)
            page.Append("  <pre>")
                .Append(Text(message.Example.ToJsonString(AsyncApiDocument.Indented)))
                .Append("</pre>\n");
    }

    private static void Rows(StringBuilder page, JsonObject schema, string prefix)
    {
        var required = schema["required"]?.AsArray().Select(x => (string?)x).ToArray() ?? [];
        foreach (var (name, node) in schema["properties"]!.AsObject())
        {
            var property = node!.AsObject();
            page.Append("    <tr><td><code>")
                .Append(Text(prefix + name))
                .Append("</code></td><td>")
                .Append(Type(property));
            page.Append("</td><td>").Append(required.Contains(name) ? "required" : "").Append(Rules(property));
            page.Append("</td><td>").Append(Text((string?)property["description"])).Append("</td></tr>\n");
            if (property["properties"] is not null)
                Rows(page, property, $"{prefix}{name}.");
            else if (property["items"] is JsonObject items && items["properties"] is not null)
                Rows(page, items, $"{prefix}{name}[].");
        }
    }

    private static string Type(JsonObject schema)
    {
        var type = schema["type"] is JsonArray types
            ? string.Join(" or ", types.Select(x => (string?)x))
            : (string?)schema["type"];
        return schema["format"] is { } format ? $"{type}, {Text((string?)format)}" : type!;
    }

    private static string Rules(JsonObject schema)
    {
        var rules = schema.Where(x => x.Key is not ("type" or "format") && !SaidElsewhere.Contains(x.Key)).ToList();
        if (schema["items"] is JsonObject items && items["properties"] is null)
            rules.Add(KeyValuePair.Create("items", (JsonNode?)items));
        return string.Concat(
            rules.Select(x => $"<br><code>{Text(x.Key)} {Text(x.Value?.ToJsonString(WireJson.Options))}</code>")
        );
    }

    private static string Text(string? text) =>
        Code().Replace(HtmlEncoder.Default.Encode(text ?? ""), "<code>${code}</code>");

    [GeneratedRegex("&#x60;(?<code>.*?)&#x60;", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Code();
}
