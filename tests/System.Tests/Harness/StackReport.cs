using System.Text;
using System.Text.Json;
using Npgsql;

namespace Pipeline.SystemTests.Harness;

/// <summary>What a stack looks like when a test has waited in vain: queues, lanes, and what the database is doing.</summary>
internal static class StackReport
{
    public static async Task<string> WriteAsync(
        BrokerManagement management,
        string virtualHost,
        NpgsqlDataSource database
    )
    {
        var report = new StringBuilder();
        try
        {
            await AddQueuesAsync(report, management, virtualHost);
            await AddRowsAsync(report, database, "select * from status.lanes order by 1");
            await AddRowsAsync(
                report,
                database,
                """
                select pid, state, wait_event, now() - state_change as since, left(query, 100) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()
                """
            );
        }
        catch (Exception e) when (e is HttpRequestException or NpgsqlException or JsonException)
        {
            report.AppendLine($"(the rest could not be read: {e.Message})");
        }

        return report.ToString();
    }

    private static async Task AddQueuesAsync(StringBuilder report, BrokerManagement management, string virtualHost)
    {
        foreach (var name in await management.NamesAsync(virtualHost, "queues"))
        {
            using var state = JsonDocument.Parse(await management.GetAsync($"/api/queues/{virtualHost}/{name}"));
            var fields = state.RootElement;
            string Field(string field) => fields.TryGetProperty(field, out var value) ? value.GetRawText() : "-";
            if (Field("messages") == "0")
                continue;
            report.AppendLine(
                $"{name}: ready {Field("messages_ready")}, unanswered {Field("messages_unacknowledged")}, "
                    + $"consumers {Field("consumers")}"
            );
        }
    }

    private static async Task AddRowsAsync(StringBuilder report, NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync())
            report.AppendJoin(" | ", Enumerable.Range(0, row.FieldCount).Select(x => row.GetValue(x))).AppendLine();
    }
}
