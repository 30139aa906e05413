using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>An error of this program that means the same as a serialization failure: roll back and try again.</summary>
internal interface IContention;

/// <summary>Which database errors end by themselves.</summary>
/// <remarks>SQLSTATE classes: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".</remarks>
internal static class Transience
{
    // idle_in_transaction_session_timeout; Npgsql has no name for it.
    private const string IdleInTransactionTimeout = "25P03";

    /// <summary>Two writers met: deadlock, serialization failure, lock time-out. Trying again at once is right.</summary>
    public static bool IsContention(Exception error) =>
        Unwrapped(error)
            is IContention
                or PostgresException
                {
                    SqlState: PostgresErrorCodes.SerializationFailure
                        or PostgresErrorCodes.DeadlockDetected
                        or PostgresErrorCodes.LockNotAvailable
                };

    /// <summary>
    /// The server is away, starting, stopping or full, or it has ended the session: class 08, 53, 57P0x, an idle
    /// transaction's time-out, or no connection at all.
    /// </summary>
    public static bool IsOutage(Exception error) =>
        Unwrapped(error) switch
        {
            PostgresException e => e.SqlState.StartsWith("08", StringComparison.Ordinal)
                || e.SqlState.StartsWith("53", StringComparison.Ordinal)
                || e.SqlState.StartsWith("57P", StringComparison.Ordinal)
                // A process that is starved of its processor seems idle to the server.
                || e.SqlState == IdleInTransactionTimeout,
            NpgsqlException => true, // Not an answer of the server: the connection broke, timed out or was refused.
            TimeoutException => true, // The pool had no connection to give.
            _ => false,
        };

    // EF Core wraps what it holds for transient in the one, and what breaks SaveChanges in the other.
    private static Exception Unwrapped(Exception error) =>
        error is InvalidOperationException or DbUpdateException && error.InnerException is { } inner
            ? Unwrapped(inner)
            : error;
}
