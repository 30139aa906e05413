using Npgsql;

namespace Pipeline.SystemTests.Harness;

/// <summary>Databases of tests on the server that <c>ConnectionStrings__Postgres</c> names.</summary>
internal static class DatabaseServer
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static Task CreateAsync(string database) => ExecuteAsync($"create database {database}");

    /// <summary>Ends the database's sessions, and drops it.</summary>
    public static async Task DropAsync(string database)
    {
        for (var deadline = DateTimeOffset.UtcNow + Limit; ; await ExecuteAsync("select pg_sleep(0.2)"))
        {
            try
            {
                await ExecuteAsync($"drop database {database} with (force)");
                return;
            }
            // The server's own autovacuum is in it, whose session only a superuser may end; it leaves by itself.
            catch (PostgresException e)
                when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege && DateTimeOffset.UtcNow < deadline) { }
        }
    }

    public static async Task ExecuteAsync(string sql)
    {
        var settings = Environment.GetEnvironmentVariable("ConnectionStrings__Postgres");
        await using var server = NpgsqlDataSource.Create(
            settings ?? throw new InvalidOperationException("ConnectionStrings__Postgres is not set: run ./test.")
        );
        await using var command = server.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
