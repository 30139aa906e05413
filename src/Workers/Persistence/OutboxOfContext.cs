using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Workers.Persistence;

/// <summary>The connection and transaction behind a context, for what is said better in SQL.</summary>
internal static class OutboxOfContext
{
    public static NpgsqlConnection Connection(this PipelineDbContext db) =>
        (NpgsqlConnection)db.Database.GetDbConnection();

    /// <exception cref="InvalidOperationException">There is none: the caller has forgotten to begin it.</exception>
    public static NpgsqlTransaction Transaction(this PipelineDbContext db) =>
        (NpgsqlTransaction)
            (
                db.Database.CurrentTransaction ?? throw new InvalidOperationException("No transaction is open.")
            ).GetDbTransaction();

    /// <inheritdoc cref="Outbox.AppendAsync"/>
    public static Task AppendAsync(
        this PipelineDbContext db,
        IReadOnlyList<WireMessage> messages,
        CancellationToken cancellation
    ) => Outbox.AppendAsync(db.Connection(), db.Transaction(), messages, cancellation);
}
