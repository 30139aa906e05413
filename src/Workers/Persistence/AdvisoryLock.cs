using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>What this program uses PostgreSQL's advisory locks for. The numbers are the locks' first keys.</summary>
internal enum LockUse
{
    /// <summary>One process at a time changes the schema.</summary>
    Migration = 1,

    /// <summary>One process at a time relays the outbox; its session holds the lock for as long as it leads.</summary>
    OutboxLeader = 2,

    /// <summary>One worker at a time takes and gives away lanes.</summary>
    LaneBalance = 3,

    /// <summary>One process at a time changes which events are bound for webhooks.</summary>
    WebhookBindings = 4,

    /// <summary>One message at a time of a saga.</summary>
    Saga = 5,

    /// <summary>One transaction at a time holds or purges the objects of an image.</summary>
    ImageObjects = 6,

    /// <summary>One transaction at a time begins or ends a bucket's rebuild.</summary>
    CatalogRebuild = 7,
}

/// <summary>
/// An advisory lock of the database. Each use has its own space of keys, because ids come from messages: in a shared
/// space a client could choose an id whose lock is that of the outbox's leader, and its messages would wait for ever.
/// Within a use two ids may share a lock; then they wait for each other for the time of a transaction.
/// </summary>
/// <remarks>PostgreSQL documentation, "Advisory Locks": locks of two integers and of one bigint never meet.</remarks>
/// <param name="Use">The first key.</param>
/// <param name="Key">The second key.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AdvisoryLock(LockUse Use, int Key)
{
    private const string TakeSql = "select pg_advisory_xact_lock($1, $2)";

    // Without the warning that pg_advisory_unlock gives for a lock that the session has not.
    private const string ReleaseSql = """
        select pg_advisory_unlock($1, $2) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'
            and objsubid = 2 and classid::bigint = $1 and objid::bigint = $2::bigint & 4294967295
        """;

    private const string TakeForSessionSql = "select pg_advisory_lock($1, $2)";

    private const string TryTakeSql = "select pg_try_advisory_lock($1, $2)";

    /// <summary>The only lock of a use.</summary>
    public static AdvisoryLock Of(LockUse use) => new(use, 0);

    /// <summary>The lock of one thing.</summary>
    public static AdvisoryLock Of(LockUse use, Guid id) => new(use, Hash(id.ToByteArray(bigEndian: true)));

    /// <inheritdoc cref="Of(LockUse, Guid)"/>
    public static AdvisoryLock Of(LockUse use, string name) => new(use, Hash(Encoding.UTF8.GetBytes(name)));

    /// <summary>Waits for the lock, and holds it until the end of the connection's transaction.</summary>
    public async Task TakeAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, TakeSql);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Takes the lock for the session, unless another one has it. It ends with the session.</summary>
    /// <returns>False where another session has it.</returns>
    public async Task<bool> TryTakeForSessionAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = Command(connection, TryTakeSql);
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>
    /// Gives a session's lock back, whether or not it was taken; a session that goes back to the pool must not keep it.
    /// Where that fails, no session of the pool is used again, and the lock ends with its session.
    /// </summary>
    public async Task ReleaseAsync(NpgsqlConnection connection, NpgsqlDataSource source)
    {
        try
        {
            await using var command = Command(connection, ReleaseSql);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is NpgsqlException or InvalidOperationException)
        {
            source.Clear(); // NpgsqlConnection.ClearPool knows nothing of a data source's pool.
        }
    }

    /// <summary>Waits for the lock within the context's transaction, but no longer than a limit.</summary>
    /// <param name="db">Of a context whose transaction has begun. The limit then holds for all its further locks.</param>
    /// <param name="limit">One of whole milliseconds.</param>
    /// <param name="cancellation">The caller's.</param>
    /// <exception cref="PostgresException">55P03: the limit is over; see <see cref="Transience.IsContention"/>.</exception>
    public Task TakeAsync(DatabaseFacade db, TimeSpan limit, CancellationToken cancellation) =>
        db.ExecuteSqlAsync(
            $"""
            select set_config('lock_timeout', {limit.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)}, true);
            select pg_advisory_xact_lock({(int)Use}, {Key})
            """,
            cancellation
        );

    /// <summary>
    /// Does work while a session of its own has the lock. That session has no transaction open, so the work may take
    /// longer than a transaction may stand idle.
    /// </summary>
    /// <param name="source">The database.</param>
    /// <param name="work">What nobody else may do meanwhile. It opens sessions of its own.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task HoldAsync(NpgsqlDataSource source, Func<Task> work, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        try
        {
            await using (var take = Command(connection, TakeForSessionSql))
                await take.ExecuteNonQueryAsync(cancellation);
            await work();
        }
        finally
        {
            await ReleaseAsync(connection, source);
        }
    }

    /// <summary>Does work while the session has the lock.</summary>
    /// <param name="db">Of a context whose connection is open, and stays so.</param>
    /// <param name="work">What nobody else may do meanwhile.</param>
    /// <param name="cancellation">The caller's.</param>
    public async Task HoldAsync(DatabaseFacade db, Func<Task> work, CancellationToken cancellation)
    {
        await db.ExecuteSqlAsync($"select pg_advisory_lock({(int)Use}, {Key})", cancellation);
        try
        {
            await work();
        }
        finally
        {
            await db.ExecuteSqlAsync($"select pg_advisory_unlock({(int)Use}, {Key})", CancellationToken.None);
        }
    }

    private NpgsqlCommand Command(NpgsqlConnection connection, string sql) =>
        new(sql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<int> { TypedValue = (int)Use },
                new NpgsqlParameter<int> { TypedValue = Key },
            },
        };

    private static int Hash(ReadOnlySpan<byte> bytes)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(bytes, hash);
        return BinaryPrimitives.ReadInt32BigEndian(hash);
    }
}
