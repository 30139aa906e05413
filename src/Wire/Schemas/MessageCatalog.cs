using System.Diagnostics.CodeAnalysis;
using Pipeline.Contracts;

namespace Pipeline.Wire.Schemas;

/// <summary>All messages, found in the contracts: nothing is registered here when one is added.</summary>
/// <remarks>
/// A contract's summary begins with what it is: <c>Command:</c>, <c>Event:</c>, <c>Message, internal</c> or
/// <c>Command, internal</c>. A record without such a beginning is a part of other messages.
/// </remarks>
public static class MessageCatalog
{
    private static readonly Lazy<Dictionary<string, MessageContract>> ByName = new(Read);

    private static readonly Lazy<Dictionary<string, string>> OutcomeTexts = new(ReadOutcomes);

    /// <summary>All of them, by name.</summary>
    public static IEnumerable<MessageContract> All => ByName.Value.Values;

    /// <summary>Those that other services send and hear.</summary>
    public static IEnumerable<MessageContract> Public => All.Where(x => x.Kind != MessageKind.Internal);

    /// <summary>The ways in which a command ends, each with what it means.</summary>
    public static IReadOnlyDictionary<string, string> Outcomes => OutcomeTexts.Value;

    /// <summary>The message of a name such as <c>save-image</c>.</summary>
    public static bool TryFind(string name, [NotNullWhen(true)] out MessageContract? contract) =>
        ByName.Value.TryGetValue(name, out contract);

    /// <summary>The message of a record of the contracts.</summary>
    public static MessageContract Of<T>() => ByName.Value[WireNames.ExchangeOf<T>()];

    private static Dictionary<string, MessageContract> Read()
    {
        var docs = ContractDocs.Read();
        var examples = MessageExamples.Read();
        return typeof(ILaneCommand)
            .Assembly.GetExportedTypes()
            .Where(x => x is { IsClass: true, IsAbstract: false })
            .Select(x => (Type: x, Kind: KindOf(x, docs.Summary(x))))
            .Where(x => x.Kind is not null)
            .Select(x => new MessageContract(
                x.Type,
                x.Kind!.Value,
                docs,
                examples.GetValueOrDefault(WireNames.ExchangeOf(x.Type))
            ))
            .OrderBy(x => x.Name, StringComparer.Ordinal)
            .ToDictionary(x => x.Name, StringComparer.Ordinal);
    }

    private static Dictionary<string, string> ReadOutcomes()
    {
        var docs = ContractDocs.Read();
        return typeof(Contracts.Receipts.Outcomes)
            .GetFields()
            .ToDictionary(x => (string)x.GetRawConstantValue()!, docs.Summary, StringComparer.Ordinal);
    }

    private static MessageKind? KindOf(Type type, string summary) =>
        summary.Split(':')[0].Split(',')[0] switch
        {
            "Command" or "Message" when summary.Split(':')[0].Contains(", internal", StringComparison.Ordinal) =>
                MessageKind.Internal,
            "Command" => typeof(ILaneCommand).IsAssignableFrom(type) ? MessageKind.LaneCommand : MessageKind.Command,
            "Event" => MessageKind.Event,
            _ => null,
        };
}
