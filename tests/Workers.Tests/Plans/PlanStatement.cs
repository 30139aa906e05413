using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>One statement of the product, as the server plans it.</summary>
internal static partial class PlanStatement
{
    // PostgreSQL 15 has no "explain (generic_plan)"; from the sixth execution on it takes the plan that it thinks the
    // cheaper one.
    private const int Executions = 6;

    // Of rows, in limits and arrays.
    private const int Batch = 50;

    /// <summary>As PostgreSQL wants it: Npgsql's names and EF Core's places become numbers.</summary>
    public static IEnumerable<string> Normalize(string text)
    {
        var names = new List<string>();
        var sql = Named()
            .Replace(
                text,
                x =>
                {
                    if (!names.Contains(x.Groups["name"].Value))
                        names.Add(x.Groups["name"].Value);
                    return $"${names.IndexOf(x.Groups["name"].Value) + 1}";
                }
            );
        if (sql.Contains("{0}", StringComparison.Ordinal))
            sql = Place().Replace(sql, x => $"${Number(x.Groups["place"]) + 1}");
        return sql.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>
    /// Each plan that the statement may get: with and without the parameters that may be null or are a switch, as it is
    /// planned for its values, and as it is planned once for all values where the server thinks that as good.
    /// </summary>
    /// <exception cref="PostgresException">The text is no statement.</exception>
    public static async Task<List<JsonElement>> PlansAsync(NpgsqlConnection connection, string sql, string types)
    {
        var plans = new List<JsonElement>();
        await ExecuteAsync(connection, $"prepare planned{types} as {sql}");
        try
        {
            foreach (var values in Values(sql, await TypesAsync(connection)))
            {
                var execute = values.Count == 0 ? "planned" : $"planned({string.Join(", ", values)})";
                plans.Add(await ExplainAsync(connection, execute));
                for (var i = 1; i < Executions - 1; i++)
                    await ExplainAsync(connection, execute);
                plans.Add(await ExplainAsync(connection, execute));
            }
        }
        finally
        {
            await ExecuteAsync(connection, "deallocate planned");
        }

        return plans;
    }

    private static IEnumerable<List<string>> Values(string sql, string[] types)
    {
        var optional = Optional()
            .Matches(sql)
            .Select(x => Number(x.Groups["n"]) - 1)
            .Concat(Enumerable.Range(0, types.Length).Where(x => types[x] == "boolean"))
            .Distinct()
            .ToArray();
        for (var mask = 0; mask < 1 << optional.Length; mask++)
        {
            var values = types.Select(Value).ToList();
            // Words that rows have; for another one no index would need to fit.
            foreach (Match match in Word().Matches(sql))
                values[Number(match.Groups["n"]) - 1] = match.Groups["column"].Value == "state" ? "'dead'" : "'failed'";
            for (var i = 0; i < optional.Length; i++)
            {
                if ((mask & (1 << i)) != 0)
                    values[optional[i]] = types[optional[i]] == "boolean" ? "false" : $"null::{types[optional[i]]}";
            }

            yield return values;
        }
    }

    private static string Value(string type) =>
        type.EndsWith("[]", StringComparison.Ordinal)
            ? $"array_fill({Value(type[..^2])}, array[{Batch}])"
            : type switch
            {
                "uuid" => "md5('project7')::uuid",
                "boolean" => "true",
                "smallint" or "integer" or "bigint" or "numeric" or "double precision" => $"{Batch}::{type}",
                "timestamp with time zone" => "now() - interval '89 days 22 hours'",
                "interval" => "interval '1 minute'",
                "json" or "jsonb" => $"'{{}}'::{type}",
                "bytea" => "'\\x00'::bytea",
                "text" or "character varying" or "name" => $"'projects/7'::{type}",
                _ => $"null::{type}",
            };

    private static int Number(Capture capture) => int.Parse(capture.Value, CultureInfo.InvariantCulture);

    private static async Task<JsonElement> ExplainAsync(NpgsqlConnection connection, string execute)
    {
        await using var command = new NpgsqlCommand($"explain (format json) execute {execute}", connection);
        using var document = JsonDocument.Parse((string)(await command.ExecuteScalarAsync())!);
        return document.RootElement[0].GetProperty("Plan").Clone();
    }

    private static async Task<string[]> TypesAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(
            "select parameter_types::text[] from pg_prepared_statements where name = 'planned'",
            connection
        );
        return (string[])(await command.ExecuteScalarAsync())!;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    [GeneratedRegex(@"(?<!@)@(?<name>\w+)\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Named();

    [GeneratedRegex(@"\{(?<place>[0-9])\}", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Place();

    [GeneratedRegex(@"\b(?<column>state|outcome) = \$(?<n>[0-9]+)", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Word();

    [GeneratedRegex(@"\$(?<n>[0-9]+)(::[a-z]+)? is (not )?null", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Optional();
}
