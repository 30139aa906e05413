using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>Which database errors end by themselves.</summary>
/// <remarks>SQLSTATE classes: PostgreSQL documentation, appendix A, "PostgreSQL Error Codes".</remarks>
internal static class Transience
{
    /// <summary>Two writers met: deadlock, serialization failure, lock time-out. Trying again at once is right.</summary>
    public static bool IsContention(Exception error) =>
        error
            is PostgresException
            {
                SqlState: PostgresErrorCodes.SerializationFailure
                    or PostgresErrorCodes.DeadlockDetected
                    or PostgresErrorCodes.LockNotAvailable
            };

    /// <summary>The server is away, starting, stopping or full: class 08, 53, 57P0x, or no connection at all.</summary>
    public static bool IsOutage(Exception error) =>
        error switch
        {
            PostgresException e => e.SqlState.StartsWith("08", StringComparison.Ordinal)
                || e.SqlState.StartsWith("53", StringComparison.Ordinal)
                || e.SqlState.StartsWith("57P", StringComparison.Ordinal),
            NpgsqlException => true, // Not an answer of the server: the connection broke, timed out or was refused.
            TimeoutException => true, // The pool had no connection to give.
            _ => false,
        };
}
