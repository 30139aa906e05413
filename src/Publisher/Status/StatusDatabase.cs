using System.Net.Sockets;
using Npgsql;

namespace Pipeline.Publisher.Status;

/// <summary>Reads the views of schema <c>status</c>; the role may do nothing else.</summary>
/// <remarks>Each read fails with an <see cref="NpgsqlException"/>; <see cref="DatabaseFailures"/> tells what it means.</remarks>
internal sealed class StatusDatabase : IAsyncDisposable
{
    private const int ConnectionLimit = 10;
    private const int CommandSeconds = 15;
    private const int ConnectSeconds = 5;

    private readonly NpgsqlDataSource _source;

    /// <exception cref="ArgumentException">No connection string.</exception>
    public StatusDatabase(string connectionString)
    {
        var builder = new NpgsqlDataSourceBuilder(connectionString);
        builder.ConnectionStringBuilder.ApplicationName = "pipeline-publisher";
        builder.ConnectionStringBuilder.NoResetOnClose = true; // It only reads, and sets nothing in its sessions.
        builder.ConnectionStringBuilder.MaxPoolSize = ConnectionLimit;
        builder.ConnectionStringBuilder.CommandTimeout = CommandSeconds;
        builder.ConnectionStringBuilder.Timeout = ConnectSeconds;
        _source = builder.Build();
    }

    public async Task<List<T>> ReadAsync<T>(
        string sql,
        Func<NpgsqlDataReader, T> row,
        CancellationToken cancellation,
        params object?[] parameters
    )
    {
        try
        {
            await using var command = _source.CreateCommand(sql);
            foreach (var value in parameters)
                command.Parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            var rows = new List<T>();
            while (await reader.ReadAsync(cancellation))
                rows.Add(row(reader));
            return rows;
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            // A name that does not resolve escapes from Npgsql as it is.
            throw new NpgsqlException("The database does not answer.", e);
        }
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();
}

/// <summary>Columns that may be null.</summary>
internal static class ReaderExtensions
{
    public static T? Nullable<T>(this NpgsqlDataReader reader, int column)
        where T : struct => reader.IsDBNull(column) ? null : reader.GetFieldValue<T>(column);

    public static string? Text(this NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.GetString(column);

    public static DateTimeOffset Instant(this NpgsqlDataReader reader, int column) =>
        reader.GetFieldValue<DateTimeOffset>(column);
}

/// <summary>A part of a long list.</summary>
/// <param name="Limit">Rows at most, 1 to <see cref="LimitMax"/>.</param>
/// <param name="Offset">Rows to skip, 0 to <see cref="OffsetMax"/>.</param>
internal sealed record Page(int Limit, int Offset = 0)
{
    public const int LimitMax = 1_000;
    public const int OffsetMax = 1_000_000;
}
