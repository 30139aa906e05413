using System.Globalization;
using System.Text.Json.Nodes;

namespace Pipeline.Publisher.Tests.Describing;

/// <summary>What a change of the AsyncAPI document breaks for services that were written against the earlier one.</summary>
internal static class ContractChanges
{
    private static readonly string[] Floors = ["minimum", "minLength", "minItems"];
    private static readonly string[] Ceilings = ["maximum", "maxLength", "maxItems", "maxProperties"];

    public static IEnumerable<string> Breaking(JsonNode earlier, JsonNode now)
    {
        foreach (var (name, old) in earlier["components"]!["schemas"]!.AsObject())
        {
            if (now["components"]!["schemas"]![name] is not JsonObject schema)
            {
                yield return $"{name}: is gone";
                continue;
            }

            var isCommand = earlier["operations"]![$"receive-{name}"] is not null;
            foreach (var change in Breaking(name, old!.AsObject(), schema, isCommand))
                yield return change;
            var exchange = (JsonNode document) => document["channels"]![name]!["bindings"]!.ToJsonString();
            if (exchange(earlier) != exchange(now))
                yield return $"{name}: has another exchange";
        }
    }

    private static IEnumerable<string> Breaking(string path, JsonObject old, JsonObject schema, bool isCommand)
    {
        if (old["type"]?.ToJsonString() != schema["type"]?.ToJsonString())
            yield return $"{path}: has another type";
        // A command may ask for less, an event may tell more, and never the other way round.
        var (before, after) = (Names(old["required"]), Names(schema["required"]));
        foreach (var name in isCommand ? after.Where(x => !before.Contains(x)) : before.Where(x => !after.Contains(x)))
            yield return isCommand ? $"{path}.{name}: is required now" : $"{path}.{name}: may be missing now";
        foreach (var keyword in isCommand ? Floors : [])
            if (Number(schema[keyword]) > (Number(old[keyword]) ?? decimal.MinValue))
                yield return $"{path}: {keyword} is higher";
        foreach (var keyword in isCommand ? Ceilings : [])
            if (Number(schema[keyword]) < (Number(old[keyword]) ?? decimal.MaxValue))
                yield return $"{path}: {keyword} is lower";
        if (isCommand && Names(old["enum"]).Any(x => !Names(schema["enum"]).Contains(x)))
            yield return $"{path}: takes fewer values";
        if (isCommand && schema["pattern"] is not null && schema["pattern"]!.ToString() != old["pattern"]?.ToString())
            yield return $"{path}: has another pattern";

        foreach (var (name, property) in old["properties"]?.AsObject() ?? [])
        {
            if (schema["properties"]?[name] is not JsonObject kept)
                yield return $"{path}.{name}: is gone";
            else
                foreach (var change in Breaking($"{path}.{name}", property!.AsObject(), kept, isCommand))
                    yield return change;
        }

        if (old["items"] is JsonObject items && schema["items"] is JsonObject others)
            foreach (var change in Breaking($"{path}[]", items, others, isCommand))
                yield return change;
    }

    private static HashSet<string> Names(JsonNode? list) =>
        new(list?.AsArray().Select(x => x?.ToString() ?? "null") ?? [], StringComparer.Ordinal);

    private static decimal? Number(JsonNode? node) =>
        node is null ? null : decimal.Parse(node.ToJsonString(), CultureInfo.InvariantCulture);
}
