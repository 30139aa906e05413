using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>
/// Parameter types that PostgreSQL cannot tell from the statement. Npgsql sends them along with the values, so the
/// product need not say them.
/// </summary>
internal sealed partial class PlanTypes
{
    // By the method that sends it and the number of parameters.
    private static readonly Dictionary<(string Site, int Count), string> Declared = new()
    {
        [("SaveImageHandler.Insert", 17)] =
            "uuid[], uuid[], text[], integer[], integer[], text[], text[], text[], bigint[], integer[], integer[], "
            + "boolean[], boolean[], bigint[], bigint[], timestamptz, bigint[]",
        [("Replacement.Write", 13)] =
            "uuid, integer, text, text, text, bigint, integer, integer, boolean, boolean, bigint, timestamptz, bigint",
        [("AdvisoryLock.TakeAsync", 1)] = "text",
        [("AdvisoryLock.TakeAsync", 3)] = "text, integer, integer",
        [("DeletionQueue.Add", 9)] = "uuid, text, uuid, uuid, text, uuid, timestamptz, timestamptz, boolean",
        [("ReceiptStore.Write", 14)] =
            "uuid[], uuid[], text[], bytea[], text[], text[], bigint[], integer[], text[], timestamptz[], boolean, "
            + "bigint[], uuid[], uuid[]",
        [("DeliveryLedger.StoreAsync", 5)] = "uuid, text, uuid, bytea, timestamptz",
        [("DeliveryTurns.EndAsync", 7)] = "bigint, integer, text, timestamptz, timestamptz, integer, text",
        [("WebhookBindings.BindAsync", 2)] = "text[], text[]",
        [("UrlClaims.TakeAsync", 6)] = "uuid[], bigint, uuid, interval, boolean, uuid",
        [("UrlLedger.WriteSigningsAsync", 9)] =
            "uuid, uuid[], boolean[], boolean[], text[], timestamptz[], uuid, timestamptz, text[]",
        [("ReconcileHandler.BeginAsync", 10)] =
            "uuid, text, text, uuid, bytea, integer, interval, timestamptz, boolean, uuid",
        [("Outbox.AppendAsync", 5)] = "text[], text[], uuid[], bytea[], boolean[]",
        [("GenerateStoryboardHandler.RecordAsync", 6)] = "uuid, uuid, uuid[], text[], integer[], timestamptz",
        [("ReleaseGeneratedConsumer.Consume", 2)] = "uuid, uuid",
        [("DeletingSlice.AddErasure", 1)] = "uuid",
        [("RecordDeadLetterActionsConsumer.BeginAsync", 12)] =
            "uuid, text, text, uuid[], text[], text[], text[], text[], uuid[], integer[], uuid[], timestamptz[]",
    };

    // Of the columns that statements give to their arrays, those that no table has.
    private readonly Dictionary<string, string> _columns = new(StringComparer.Ordinal)
    {
        ["n"] = "integer",
        ["i"] = "integer",
        ["p"] = "uuid",
        ["c"] = "uuid",
        ["position"] = "integer",
        ["target_id"] = "uuid",
    };

    public static async Task<PlanTypes> ReadAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(
            """
            select attname, mode() within group (order by format_type(atttypid, null))
            from pg_attribute a join pg_class c on c.oid = a.attrelid
            where relnamespace = 'pipeline'::regnamespace and attnum > 0 and not attisdropped group by attname
            """,
            connection
        );
        var types = new PlanTypes();
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync())
            types._columns[row.GetString(0)] = row.GetString(1);
        return types;
    }

    /// <summary>What to declare of the statement's parameters; empty where PostgreSQL can tell all of them.</summary>
    public string Of(string site, string sql)
    {
        var count = Parameter().Matches(sql).Select(x => Number(x.Groups["n"])).DefaultIfEmpty().Max();
        foreach (var (key, types) in Declared)
        {
            if (key.Count == count && site.Contains($".{key.Site}", StringComparison.Ordinal))
                return $"({types})";
        }

        var hints = Interval()
            .Matches(sql)
            .Select(x => Number(x.Groups["n"]))
            .Distinct()
            .ToDictionary(x => x, _ => "interval");
        foreach (Match match in Unnest().Matches(sql))
        {
            foreach (var (parameter, column) in match.Groups["n"].Captures.Zip(match.Groups["column"].Captures))
                hints[Number(parameter)] = _columns.GetValueOrDefault(column.Value, "text") + "[]";
        }

        return hints.Count == 0
            ? ""
            : $"({string.Join(", ", Enumerable.Range(1, count).Select(x => hints.GetValueOrDefault(x, "unknown")))})";
    }

    private static int Number(Capture capture) => int.Parse(capture.Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"\$(?<n>[0-9]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Parameter();

    [GeneratedRegex(@"(now|clock_timestamp)\(\) [-+] \$(?<n>[0-9]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Interval();

    [GeneratedRegex(
        @"unnest\((\$(?<n>[0-9]+)(::[a-z\[\]]+)?(, )?)+\)\s+(with ordinality )?as (\w+ ?\(((?<column>\w+)(, )?)+\)|(?<column>\w+))",
        RegexOptions.ExplicitCapture,
        1000
    )]
    private static partial Regex Unnest();
}
