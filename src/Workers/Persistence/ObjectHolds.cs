using Npgsql;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// Commands that count on an object: one that is queued with it, or that has failed and may be replayed. Until the
/// command is decided, or its dead letter is discarded, <c>pipeline.held_objects</c> has the key, and nobody deletes it.
/// </summary>
internal static class ObjectHolds
{
    /// <summary>Keeps a hold: the key, the command, its project, its image, the time.</summary>
    public const string KeepSql = """
        insert into pipeline.object_holds (key, command_id, project_id, image_id, held_at)
        values ($1, $2, $3, $4, $5)
        on conflict (key, command_id, project_id) do update set held_at = excluded.held_at
        """;

    /// <summary>Keeps a hold in the open transaction.</summary>
    public static async Task KeepAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        object[] hold,
        CancellationToken cancellation
    )
    {
        await using var command = new NpgsqlCommand(KeepSql, connection, transaction);
        foreach (var value in hold)
            command.Parameters.AddWithValue(value);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
