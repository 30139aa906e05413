using Npgsql;

namespace Pipeline.SystemTests.Harness;

/// <summary>Databases of tests on the server that <c>ConnectionStrings__Postgres</c> names.</summary>
internal static class DatabaseServer
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private static readonly Lazy<NpgsqlDataSource> Server = new(() =>
        NpgsqlDataSource.Create(Scratch.Required("ConnectionStrings__Postgres"))
    );

    public static Task CreateAsync(string database) => ExecuteAsync($"create database {database}");

    /// <summary>Copies a database that nobody is connected to.</summary>
    public static Task CloneAsync(string database, string template) =>
        ExecuteAsync($"create database {database} template {template}");

    /// <summary>The workers' connection string, for another database and perhaps another role.</summary>
    public static string ConnectionString(
        string database,
        string variable = "ConnectionStrings__Postgres",
        int? poolSize = null
    )
    {
        var settings = new NpgsqlConnectionStringBuilder(Scratch.Required(variable)) { Database = database };
        if (poolSize is { } limit)
            settings.MaxPoolSize = limit;
        return settings.ConnectionString;
    }

    /// <summary>Ends the database's sessions, and drops it, if it is there.</summary>
    public static async Task DropAsync(string database)
    {
        for (var deadline = DateTimeOffset.UtcNow + Limit; ; await ExecuteAsync("select pg_sleep(0.2)"))
        {
            try
            {
                await ExecuteAsync($"drop database if exists {database} with (force)");
                return;
            }
            // Another role's session is in it, which only a superuser may end: the server's own autovacuum, which
            // leaves by itself, or the publisher's, which a pool of this process may keep.
            catch (PostgresException e)
                when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege && DateTimeOffset.UtcNow < deadline)
            {
                NpgsqlConnection.ClearAllPools();
            }
        }
    }

    public static async Task<List<string>> NamesAsync()
    {
        await using var command = Server.Value.CreateCommand("select datname from pg_database");
        await using var reader = await command.ExecuteReaderAsync();
        var names = new List<string>();
        while (await reader.ReadAsync())
            names.Add(reader.GetString(0));
        return names;
    }

    public static async Task ExecuteAsync(string sql)
    {
        await using var command = Server.Value.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

/// <summary>A database that is made once in a test process, and copied for every test that wants one like it.</summary>
/// <param name="make">Fills the empty database of this name, and leaves no session behind.</param>
internal sealed class DatabaseTemplate(Func<string, Task> make)
{
    private readonly Lazy<Task<string>> _name = new(async () =>
    {
        var name = Scratch.NewName();
        await DatabaseServer.CreateAsync(name);
        await make(name);
        return name;
    });

    public async Task CloneAsync(string database) => await DatabaseServer.CloneAsync(database, await _name.Value);
}
