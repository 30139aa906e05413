using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>The connection to PostgreSQL, for EF Core and for SQL alike.</summary>
internal static class PersistenceRoom
{
    private const string ConnectionName = "Postgres";

    // Of one statement of a migration: some rewrite a table with months of commands.
    private static readonly TimeSpan MigrationLimit = TimeSpan.FromHours(2);

    // Statements repeat in every batch; a prepared one saves its parsing. More than are in use at once.
    private const int PreparedStatements = 64;

    // Eight lanes, the sweepers and a few consumers; well below the 100 of a default server with three workers.
    private const int PoolSize = 24;

    private static readonly LostSessionInterceptor LostSessions = new();

    // A process that is paused between two statements holds its row locks; nobody should wait for it to wake up. (One
    // that is paused in the middle of sending a statement is not idle to the server: LaneLeases ends its sessions.)
    private const string IdleTransactionLimit = "-c idle_in_transaction_session_timeout=5s";

    /// <param name="services">The host's services.</param>
    /// <param name="configuration">Holds the connection string.</param>
    /// <param name="worker">Names the sessions, so that a successor can end those of a worker that has gone quiet.</param>
    public static void AddPersistence(
        this IServiceCollection services,
        IConfiguration configuration,
        WorkerIdentity worker
    )
    {
        var connection = configuration.GetConnectionString(ConnectionName);
        if (string.IsNullOrWhiteSpace(connection))
            throw new ConfigurationMissingException($"ConnectionStrings__{ConnectionName}");

        var settings = new NpgsqlConnectionStringBuilder(connection)
        {
            ApplicationName = worker.SessionName,
            MaxAutoPrepare = PreparedStatements,
            MaxPoolSize = PoolSize,
            // Nothing stays in a session that its next user might not want: settings and locks end with a transaction,
            // and the outbox's leader gives its lock back. Npgsql would send seven statements at each return to the
            // pool: half of all that PostgreSQL was sent, for nothing.
            NoResetOnClose = true,
            // A network that swallows packets must not hold a lane for longer than its lease.
            KeepAlive = 10,
            Options = IdleTransactionLimit,
        };

        services.AddSingleton(provider =>
            new NpgsqlDataSourceBuilder(settings.ConnectionString)
                .UseLoggerFactory(provider.GetService<ILoggerFactory>())
                .Build()
        );
        services.AddHostedService<RetentionSweeper>();
        services.AddDbContextFactory<PipelineDbContext>(
            (provider, options) => Configure(options, provider.GetRequiredService<NpgsqlDataSource>())
        );
    }

    /// <summary>Brings the schema up to date. Safe to run from several processes at once, also on an empty database.</summary>
    /// <remarks>EF Core takes its own lock in a table that the first of them has yet to make.</remarks>
    public static async Task MigrateAsync(PipelineDbContext db, CancellationToken cancellation)
    {
        db.Database.SetCommandTimeout(MigrationLimit);
        await db.Database.OpenConnectionAsync(cancellation);
        try
        {
            await AdvisoryLock
                .Of(LockUse.Migration)
                .HoldAsync(db.Database, () => db.Database.MigrateAsync(cancellation), cancellation);
        }
        finally
        {
            await db.Database.CloseConnectionAsync();
        }
    }

    public static void Configure(DbContextOptionsBuilder options, NpgsqlDataSource source) =>
        options
            .UseNpgsql(
                source,
                npgsql => npgsql.MigrationsHistoryTable(HistoryRepository.DefaultTableName, PipelineDbContext.Schema)
            )
            .AddInterceptors(LostSessions)
            // The migrations are SQL; there is no model snapshot to compare with. A test compares with the database.
            .ConfigureWarnings(warnings => warnings.Ignore(RelationalEventId.PendingModelChangesWarning));
}

/// <summary>A setting without which the process cannot start.</summary>
internal sealed class ConfigurationMissingException(string variable)
    : Exception($"The setting {variable} is missing. Set it as an environment variable.")
{
    public string Variable { get; } = variable;
}
