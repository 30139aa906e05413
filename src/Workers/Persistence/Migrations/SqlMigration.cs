using Microsoft.EntityFrameworkCore.Migrations;

namespace Pipeline.Workers.Persistence.Migrations;

/// <summary>
/// A migration written as SQL files beside it. EF Core's runner keeps the history and the lock; the SQL says exactly
/// what the database gets, including what the model cannot express (views, grants, partial indexes).
/// </summary>
internal abstract class SqlMigration(params string[] scripts) : Migration
{
    /// <summary>Names of the files, in the order in which they run.</summary>
    public IReadOnlyList<string> Scripts => scripts;

    protected sealed override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var script in scripts)
            migrationBuilder.Sql(Read(script));
        migrationBuilder.Sql(Read("status_grants.sql"));
    }

    // Going back means restoring a backup: a down script that drops receipts would lose what they prove.
    protected sealed override void Down(MigrationBuilder migrationBuilder) =>
        throw new NotSupportedException("Migrations are not undone; restore a backup instead (docs/operations.md).");

    private static string Read(string script)
    {
        using var stream =
            typeof(SqlMigration).Assembly.GetManifestResourceStream(script)
            ?? throw new InvalidOperationException($"The script {script} is not embedded.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
