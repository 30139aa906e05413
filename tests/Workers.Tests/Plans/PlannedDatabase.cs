using System.Globalization;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Architecture;
using Pipeline.Workers.Tests.Persistence;
using Xunit;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>
/// A database with as many rows in each growing table as it takes for the planner to decide as it would at a million:
/// what it reads in full costs more than what it looks up, whatever the factor.
/// </summary>
public sealed class PlannedDatabase : IAsyncLifetime
{
    /// <summary>In each table that grows.</summary>
    public const int Rows = 50_000;

    private static readonly TimeSpan FillLimit = TimeSpan.FromMinutes(5);

    private readonly string _name = Scratch.NewName();

    public NpgsqlDataSource Source { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await ScratchDatabase.CreateMigratedAsync(_name);
        Source = NpgsqlDataSource.Create(DatabaseServer.ConnectionString(_name, poolSize: 4));
        var rows = SourceTree.Read("tests/Workers.Tests/Plans/rows.sql");
        await FillAsync(rows.Replace(":rows", Rows.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
        // What is seen by all sessions lets an index alone answer, as it does in a database that is not just filled.
        foreach (var table in await TablesAsync())
            await FillAsync($"vacuum analyze pipeline.\"{table}\"");
    }

    public async Task DisposeAsync()
    {
        await Source.DisposeAsync();
        await Scratch.RemoveLaterAsync(() => DatabaseServer.DropAsync(_name));
    }

    public async Task<List<string>> TablesAsync()
    {
        await using var command = Source.CreateCommand(
            "select relname from pg_class where relnamespace = 'pipeline'::regnamespace and relkind = 'r' order by 1"
        );
        await using var row = await command.ExecuteReaderAsync();
        var tables = new List<string>();
        while (await row.ReadAsync())
            tables.Add(row.GetString(0));
        return tables;
    }

    private async Task FillAsync(string sql)
    {
        await using var command = Source.CreateCommand(sql);
        command.CommandTimeout = (int)FillLimit.TotalSeconds;
        await command.ExecuteNonQueryAsync();
    }
}
