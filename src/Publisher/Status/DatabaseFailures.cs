using System.Net.Sockets;
using Npgsql;

namespace Pipeline.Publisher.Status;

/// <summary>Tells what went wrong at the database so that a person knows what to do.</summary>
internal static class DatabaseFailures
{
    public static string Describe(NpgsqlException failure) =>
        failure switch
        {
            PostgresException
            {
                SqlState: PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification
            } => "PostgreSQL refused the credentials in ConnectionStrings__Status.",
            PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } e =>
                $"PostgreSQL: {e.MessageText} (ConnectionStrings__Status).",
            PostgresException
            {
                SqlState: PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName
            } e =>
                $"PostgreSQL: {e.MessageText}. The views come with the workers' migration: run Pipeline.Workers migrate.",
            PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } e =>
                $"PostgreSQL: {e.MessageText}. The workers' migration grants the views of schema status to pipeline_publisher.",
            PostgresException e => $"PostgreSQL: {e.MessageText} ({e.SqlState}).",
            { InnerException: SocketException or TimeoutException } =>
                $"PostgreSQL does not answer at the address in ConnectionStrings__Status: {failure.GetBaseException().Message}",
            _ => $"PostgreSQL: {failure.GetBaseException().Message}",
        };
}
