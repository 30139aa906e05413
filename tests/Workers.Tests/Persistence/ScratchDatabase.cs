using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Persistence;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>A migrated database of one test class on the real server; it goes when the class ends.</summary>
public sealed class ScratchDatabase : IAsyncLifetime
{
    private readonly string _name = $"t{Guid.NewGuid():N}";

    public NpgsqlDataSource Source { get; private set; } = null!;

    public static string Required(string variable) =>
        Environment.GetEnvironmentVariable(variable)
        ?? throw new InvalidOperationException(
            $"{variable} is not set. Run ./test, or: eval \"$(eng/services env test)\"."
        );

    public async Task InitializeAsync()
    {
        await CreateAsync();
        await MigrateAsync();
    }

    /// <summary>An empty database.</summary>
    public async Task CreateAsync()
    {
        await DatabaseServer.CreateAsync(_name);
        Source = NpgsqlDataSource.Create(ConnectionString("ConnectionStrings__Postgres"));
    }

    public async Task MigrateAsync()
    {
        await using var db = NewContext();
        await PersistenceRoom.MigrateAsync(db, default);
    }

    public async Task DisposeAsync()
    {
        if (Source is null)
            return; // It was never made, and the test has said why.
        await Source.DisposeAsync();
        await DatabaseServer.DropAsync(_name);
    }

    /// <summary>Another role's settings, in this database.</summary>
    public string ConnectionString(string variable) =>
        new NpgsqlConnectionStringBuilder(Required(variable)) { Database = _name, MaxPoolSize = 8 }.ConnectionString;

    internal PipelineDbContext NewContext()
    {
        var options = new DbContextOptionsBuilder<PipelineDbContext>();
        PersistenceRoom.Configure(options, Source);
        return new PipelineDbContext(options.Options);
    }

    /// <summary>The first column of each row, as text.</summary>
    public async Task<List<string>> TextsAsync(string sql, params object[] parameters)
    {
        await using var command = Source.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await using var reader = await command.ExecuteReaderAsync();
        var texts = new List<string>();
        while (await reader.ReadAsync())
            texts.Add(reader.IsDBNull(0) ? "" : reader.GetValue(0).ToString()!);
        return texts;
    }

    public async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = Source.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync();
    }
}
