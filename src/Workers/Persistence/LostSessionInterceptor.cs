using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// Stops a unit of work whose session was lost. EF Core would open the connection anew without a word, forget the
/// transaction, and let every later statement commit by itself, outside the locks of the first ones.
/// </summary>
internal sealed class LostSessionInterceptor : DbConnectionInterceptor
{
    /// <exception cref="NpgsqlException">An outage, as <see cref="Transience"/> has it: all of the work is repeated.</exception>
    public override ValueTask<InterceptionResult> ConnectionOpeningAsync(
        DbConnection connection,
        ConnectionEventData eventData,
        InterceptionResult result,
        CancellationToken cancellationToken = default
    ) =>
        eventData.Context is PipelineDbContext { HasBegun: true }
            ? throw new NpgsqlException("The database ended the session in the middle of a transaction.")
            : base.ConnectionOpeningAsync(connection, eventData, result, cancellationToken);
}
