using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Images;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>
/// Has images kept out of sight whose object the store does not have, or has with another length: it was just asked.
/// </summary>
internal static class LostObjects
{
    private const string ShownSql = """
        select project_id, id from pipeline.images
        where object_key collate "C" = $1 and object_seen and deleted_at is null
            and ($2::bigint is null or byte_length <> $2)
        """;

    /// <summary>
    /// To be called before the entry of an object that is gone is written: a lane that shows the image because the
    /// catalogue still lists its object comes before this transaction, which then sees the image, or after it.
    /// </summary>
    public static async Task LockAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string key,
        CancellationToken cancellation
    )
    {
        if (ObjectKeys.TryParseImage(key, out var image))
            await ProjectLock.TakeAsync(connection, transaction, image.ProjectId, cancellation);
    }

    /// <summary>Queues the command with the entry that says so.</summary>
    /// <returns>The command; null where no image shows the object, or it is as it should be.</returns>
    public static async Task<Guid?> HideAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        string key,
        StoredObject? stored,
        CancellationToken cancellation
    )
    {
        RetractObject hide;
        await using (var shown = new NpgsqlCommand(ShownSql, connection, transaction))
        {
            shown.Parameters.AddWithValue(key);
            shown.Parameters.Add(
                new NpgsqlParameter
                {
                    Value = (object?)stored?.Size ?? DBNull.Value,
                    NpgsqlDbType = NpgsqlDbType.Bigint,
                }
            );
            await using var row = await shown.ExecuteReaderAsync(cancellation);
            if (!await row.ReadAsync(cancellation))
                return null;
            // A key belongs to one image. Nobody can use the id up beforehand; it is sent with this transaction.
            hide = new RetractObject(Guid.NewGuid(), row.GetGuid(0), row.GetGuid(1), key);
        }

        await Outbox.AppendAsync(connection, transaction, [WireMessage.Command(hide)], cancellation);
        return hide.CommandId;
    }
}
