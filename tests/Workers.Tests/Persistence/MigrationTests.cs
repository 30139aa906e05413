using Microsoft.EntityFrameworkCore;
using Pipeline.Workers.Persistence.Migrations;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>Every worker may be started with a migration of its own, at the same moment.</summary>
public sealed class MigrationTests
{
    private const int Starters = 5;

    [Fact]
    public async Task Migrating_twice_changes_nothing_the_second_time()
    {
        var database = new ScratchDatabase();
        try
        {
            await database.CreateAsync();
            await database.MigrateAsync();
            var before = await FingerprintAsync(database);

            await database.MigrateAsync();

            (await FingerprintAsync(database)).ShouldBe(before);
            await using var db = database.NewContext();
            (await db.Database.GetPendingMigrationsAsync()).ShouldBeEmpty();
        }
        finally
        {
            await database.DisposeAsync();
        }
    }

    [Fact]
    public async Task Several_at_once_on_an_empty_database_make_one_schema()
    {
        var database = new ScratchDatabase();
        try
        {
            await database.CreateAsync();

            await Task.WhenAll(Enumerable.Range(0, Starters).Select(_ => Task.Run(database.MigrateAsync)));

            await using var db = database.NewContext();
            var applied = await db.Database.GetAppliedMigrationsAsync();
            applied.ShouldBe(db.Database.GetMigrations());
            applied.ShouldNotBeEmpty();
        }
        finally
        {
            await database.DisposeAsync();
        }
    }

    /// <summary>A script that no migration names would look finished, and never run.</summary>
    [Fact]
    public void Every_script_belongs_to_a_migration()
    {
        var migrations = typeof(SqlMigration)
            .Assembly.GetTypes()
            .Where(x => x.IsSubclassOf(typeof(SqlMigration)))
            .Select(x => (SqlMigration)Activator.CreateInstance(x)!);

        migrations
            .SelectMany(x => x.Scripts)
            .Append("status_grants.sql") // Runs with each of them.
            .ShouldBe(
                typeof(SqlMigration)
                    .Assembly.GetManifestResourceNames()
                    .Where(x => x.EndsWith(".sql", StringComparison.Ordinal)),
                ignoreOrder: true
            );
    }

    private static async Task<string> FingerprintAsync(ScratchDatabase database) =>
        string.Join(
            '\n',
            await database.TextsAsync(
                """
                select format('%s %s', oid::regclass, xmin) from pg_class
                where relnamespace in ('pipeline'::regnamespace, 'status'::regnamespace) order by 1
                """
            )
        );
}
