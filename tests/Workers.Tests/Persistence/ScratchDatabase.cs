using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Persistence;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>A migrated database of one test class on the real server; it goes when the class ends.</summary>
public sealed class ScratchDatabase : IAsyncLifetime
{
    private static readonly DatabaseTemplate Migrated = new(async name =>
    {
        await using var source = NpgsqlDataSource.Create(DatabaseServer.ConnectionString(name));
        await using var db = NewContext(source);
        await PersistenceRoom.MigrateAsync(db, default);
    });

    private readonly string _name = Scratch.NewName();

    public NpgsqlDataSource Source { get; private set; } = null!;

    public static string Required(string variable) => Scratch.Required(variable);

    /// <summary>Makes a database with the current schema.</summary>
    public static Task CreateMigratedAsync(string name) => Migrated.CloneAsync(name);

    public async Task InitializeAsync()
    {
        await CreateMigratedAsync(_name);
        Source = NpgsqlDataSource.Create(ConnectionString("ConnectionStrings__Postgres"));
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
        await Scratch.RemoveLaterAsync(() => DatabaseServer.DropAsync(_name));
    }

    /// <summary>Another role's settings, in this database.</summary>
    public string ConnectionString(string variable) => DatabaseServer.ConnectionString(_name, variable, poolSize: 8);

    internal PipelineDbContext NewContext() => NewContext(Source);

    private static PipelineDbContext NewContext(NpgsqlDataSource source)
    {
        var options = new DbContextOptionsBuilder<PipelineDbContext>();
        PersistenceRoom.Configure(options, source);
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
