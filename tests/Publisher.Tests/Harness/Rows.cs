namespace Pipeline.Publisher.Tests.Harness;

/// <summary>Writes rows as the workers do, so that the views have something to show.</summary>
internal static class Rows
{
    public static Task ProjectAsync(this ScratchServers servers, Guid project, long version) =>
        servers.SqlAsync("insert into pipeline.projects values ($1, $2, now(), now())", project, version);

    public static Task SceneAsync(this ScratchServers servers, Guid project, string scene, int index) =>
        servers.SqlAsync("insert into pipeline.scenes values ($1, $2, $3, 'a prompt')", project, scene, index);

    public static async Task<Guid> ImageAsync(
        this ScratchServers servers,
        Guid project,
        string scene,
        int slot,
        bool isShown = true,
        string? key = null
    )
    {
        var image = Guid.NewGuid();
        await servers.SqlAsync(
            """
            insert into pipeline.images
                (id, project_id, scene_id, slot, version, object_key, sha256, content_type, byte_length, width, height,
                 object_seen, placed, project_version, saved_at, updated_at)
            values ($1, $2, $3, $4, 1, $5, repeat('a', 64), 'image/png', 1, 1, 1, $6, $6, 1, now(), now())
            """,
            image,
            project,
            scene,
            slot,
            key ?? $"projects/{project}/{image}/{new string('a', 64)}.png",
            isShown
        );
        return image;
    }

    public static async Task<Guid> ReceiptAsync(
        this ScratchServers servers,
        Guid project,
        string outcome,
        Guid? command = null,
        Guid? followUp = null
    )
    {
        var id = command ?? Guid.NewGuid();
        await servers.SqlAsync(
            """
            insert into pipeline.receipts
                (command_id, project_id, command, request_hash, outcome, reason, project_version, announcements, at,
                 scope, follow_up_id)
            values ($1, $2, 'save-image', '\x00', $3, 'because', 1, '[]', now(), $2, $4::uuid)
            """,
            id,
            project,
            outcome,
            followUp is { } next ? next : DBNull.Value
        );
        return id;
    }
}
