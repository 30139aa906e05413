using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Status;

/// <summary>Receipts as text.</summary>
internal static class ReceiptText
{
    /// <summary>The six ways in which a command can end.</summary>
    public static readonly string[] Outcomes =
    [
        Contracts.Receipts.Outcomes.Applied,
        Contracts.Receipts.Outcomes.Unchanged,
        Contracts.Receipts.Outcomes.Superseded,
        Contracts.Receipts.Outcomes.TargetMissing,
        Contracts.Receipts.Outcomes.Rejected,
        Contracts.Receipts.Outcomes.Failed,
    ];

    public static string Counts(IReadOnlyDictionary<string, long> counts) =>
        counts.Count == 0 ? "none" : string.Join(", ", counts.Select(x => $"{x.Value} {x.Key}"));

    public static IEnumerable<string> Table(IEnumerable<ReceiptRow> receipts)
    {
        var table = new TextTable("at", "command", "id", "outcome", "version", "reason");
        foreach (var receipt in receipts)
            table.Add(
                receipt.At,
                receipt.Command,
                receipt.CommandId,
                receipt.Outcome,
                receipt.ProjectVersion,
                receipt.Reason ?? ""
            );
        return table.Lines();
    }
}
