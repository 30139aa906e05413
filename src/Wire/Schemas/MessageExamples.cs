using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Pipeline.Wire.Schemas;

/// <summary>The examples of docs/messages.md: under each message's heading, the first JSON.</summary>
internal static partial class MessageExamples
{
    private const string Resource = "messages.md";

    public static Dictionary<string, JsonNode> Read()
    {
        using var stream =
            typeof(MessageExamples).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"{Resource} is not embedded: see Wire.csproj.");
        using var page = new StreamReader(stream);
        return page.ReadToEnd()
            .Split("\n## ")
            .Select(x => (Name: x.Split('\n')[0].Trim(), Json: Json().Match(x)))
            .Where(x => x.Json.Success)
            .ToDictionary(x => x.Name, x => JsonNode.Parse(x.Json.Groups["json"].Value)!, StringComparer.Ordinal);
    }

    [GeneratedRegex("```json\n(?<json>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Json();
}
