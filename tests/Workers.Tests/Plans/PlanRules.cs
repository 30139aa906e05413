using System.Globalization;
using System.Text.Json;
using Npgsql;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>What a plan may not do, because it would cost more with every row of the tables.</summary>
/// <param name="small">Tables that do not grow with the traffic, which may be read in full.</param>
/// <param name="predicates">Of partial indexes, by name.</param>
internal sealed class PlanRules(IReadOnlyCollection<string> small, IReadOnlyDictionary<string, string> predicates)
{
    /// <summary>Rows that a statement may read without a limit: of one project, image or request, or a batch.</summary>
    public const int RowLimit = PlannedDatabase.Rows / 100;

    // In the planner's units. A scan of the smallest of the tables costs more; so does an index whose first column the
    // statement does not know.
    private const int CostLimit = PlannedDatabase.Rows / 50;

    // Its input is read to the end before the first row comes, so that a limit above it bounds nothing below it.
    private static readonly string[] Blocking =
    [
        "Sort",
        "Aggregate",
        "Hash",
        "Materialize",
        "SetOp",
        "WindowAgg",
        "ModifyTable",
    ];

    public static async Task<PlanRules> ReadAsync(NpgsqlDataSource source, IReadOnlyCollection<string> small)
    {
        await using var command = source.CreateCommand(
            """
            select indexrelid::regclass::text, pg_get_expr(indpred, indrelid) from pg_index
            join pg_class on pg_class.oid = indrelid
            where relnamespace = 'pipeline'::regnamespace and indpred is not null
            """
        );
        await using var row = await command.ExecuteReaderAsync();
        var predicates = new Dictionary<string, string>(StringComparer.Ordinal);
        while (await row.ReadAsync())
            predicates.Add(row.GetString(0).Replace("pipeline.", "", StringComparison.Ordinal), row.GetString(1));
        return new PlanRules(small, predicates);
    }

    /// <summary>What is wrong with a plan, in words.</summary>
    public IEnumerable<string> Faults(JsonElement plan)
    {
        var faults = FaultsBelow(plan, isLimited: false);
        var cost = plan.GetProperty("Total Cost").GetDouble();
        return cost > CostLimit
            ? faults.Append(string.Create(CultureInfo.InvariantCulture, $"costs {cost:N0}, more than {CostLimit:N0}"))
            : faults;
    }

    private IEnumerable<string> FaultsBelow(JsonElement node, bool isLimited)
    {
        if (FaultOf(node, isLimited) is { } fault)
            yield return fault;
        if (!node.TryGetProperty("Plans", out var children))
            yield break;
        foreach (var child in children.EnumerateArray())
        {
            foreach (var below in FaultsBelow(child, IsLimited(node, child, isLimited)))
                yield return below;
        }
    }

    private string? FaultOf(JsonElement node, bool isLimited)
    {
        if (Text(node, "Relation Name") is not { } table || small.Contains(table, StringComparer.Ordinal))
            return null;
        var (type, index) = (Text(node, "Node Type"), Text(node, "Index Name"));
        if (type == "Seq Scan")
            return $"reads all of {table}";
        var rows = node.GetProperty("Plan Rows").GetDouble();
        if (!isLimited && rows > RowLimit && type != "ModifyTable")
            return string.Create(
                CultureInfo.InvariantCulture,
                $"reads {rows:N0} rows of {table} by {index ?? "bitmap"}"
            );
        return
            isLimited
            && index is not null
            && Text(node, "Index Cond") is null
            && Text(node, "Filter") is { } filter
            && filter != predicates.GetValueOrDefault(index)
            ? $"walks along {index} of {table} for rows that pass: {filter}"
            : null;
    }

    // The inner rows of a semi or anti join are read up to the first that fits.
    private static bool IsLimited(JsonElement node, JsonElement child, bool isLimited)
    {
        var (type, relationship) = (Text(node, "Node Type"), Text(child, "Parent Relationship"));
        return relationship switch
        {
            "InitPlan" or "SubPlan" => false,
            "Inner" => type == "Nested Loop" && Text(node, "Join Type") is "Semi" or "Anti",
            _ => type == "Limit" || (isLimited && !Blocking.Contains(type, StringComparer.Ordinal)),
        };
    }

    private static string? Text(JsonElement node, string name) =>
        node.TryGetProperty(name, out var value) ? value.GetString() : null;
}
