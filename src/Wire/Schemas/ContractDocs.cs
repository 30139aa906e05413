using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Pipeline.Contracts;

namespace Pipeline.Wire.Schemas;

/// <summary>The contracts' doc comments as plain text, with what they inherit written out.</summary>
internal sealed partial class ContractDocs
{
    private const string Resource = "Contracts.xml";

    private readonly Dictionary<string, XElement> _members;

    private ContractDocs(XDocument document) =>
        _members = document
            .Descendants("member")
            .ToDictionary(x => x.Attribute("name")!.Value, x => x, StringComparer.Ordinal);

    /// <summary>Those that were built with this assembly.</summary>
    public static ContractDocs Read()
    {
        using var stream =
            typeof(ContractDocs).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"{Resource} is not embedded: see Wire.csproj.");
        return new ContractDocs(XDocument.Load(stream));
    }

    /// <summary>The summary; empty where there is none.</summary>
    public string Summary(Type type) => Member(type)?.Element("summary") is { } text ? Plain(text) : "";

    /// <inheritdoc cref="Summary(Type)"/>
    public string Summary(FieldInfo constant) =>
        _members.GetValueOrDefault($"F:{constant.DeclaringType!.FullName}.{constant.Name}")?.Element("summary")
            is { } text
            ? Plain(text)
            : "";

    /// <summary>The remarks, own or inherited; null where there are none.</summary>
    public string? Remarks(Type type) => Find(Member(type), "remarks", name: null) is { } text ? Plain(text) : null;

    /// <summary>What a parameter's comment says; null where it says nothing.</summary>
    public string? OfProperty(Type type, string name)
    {
        if (Find(Member(type), "param", name) is not { } text)
            return null;
        // "As in X." is short for the maintainer; a reader of a schema has X not at hand.
        var said = Plain(text);
        return SameAs().IsMatch(said) && Target(text.Element("see")) is { } other
            ? Find(other, "param", name) is { } there
                ? Plain(there)
                : said
            : said;
    }

    private XElement? Member(Type type) => _members.GetValueOrDefault($"T:{type.FullName}");

    private XElement? Find(XElement? member, string element, string? name)
    {
        if (member is null)
            return null;
        var own = member.Elements(element).FirstOrDefault(x => name is null || x.Attribute("name")?.Value == name);
        return own
            ?? member
                .Elements("inheritdoc")
                .Where(x =>
                    x.Attribute("path") is null
                    || x.Attribute("path")!.Value.Contains(element, StringComparison.Ordinal)
                )
                .Select(x => Find(Target(x), element, name))
                .FirstOrDefault(x => x is not null);
    }

    private XElement? Target(XElement? reference) =>
        reference?.Attribute("cref") is { } cref ? _members.GetValueOrDefault(cref.Value) : null;

    private static string Plain(XElement element)
    {
        var text = new StringBuilder();
        Write(element, text);
        return Space().Replace(text.ToString(), " ").Trim();
    }

    private static void Write(XElement element, StringBuilder text)
    {
        foreach (var node in element.Nodes())
        {
            if (node is XText said)
                text.Append(said.Value);
            else if (node is XElement { Name.LocalName: "see" } see)
                text.Append(NameOf(see.Attribute("cref")!.Value));
            else if (node is XElement { Name.LocalName: "paramref" } named)
                text.Append(JsonNamingPolicy.CamelCase.ConvertName(named.Attribute("name")!.Value));
            else if (node is XElement { Name.LocalName: "c" } code)
                text.Append('`').Append(code.Value).Append('`'); // CommonMark, which AsyncAPI's descriptions are.
            else if (node is XElement inner)
                Write(inner, text);
        }
    }

    // A message is called as on the wire, a property as in its JSON.
    private static string NameOf(string cref)
    {
        var name = cref[(cref.LastIndexOf('.') + 1)..];
        var type = typeof(ILaneCommand).Assembly.GetType(cref[2..]);
        return type is { IsInterface: false, IsAbstract: false }
            ? WireNames.ExchangeOf(type)
            : JsonNamingPolicy.CamelCase.ConvertName(name);
    }

    [GeneratedRegex(@"^As in \S+\.$", RegexOptions.None, 1000)]
    private static partial Regex SameAs();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Space();
}
