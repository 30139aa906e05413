using Pipeline.Publisher.Tests.Harness;

namespace Pipeline.Publisher.Tests.Generating;

/// <summary>Writes generations as the workers do, so that the views have something to show.</summary>
internal static class GenerationRows
{
    public static async Task<Guid> GenerationAsync(
        this ScratchServers servers,
        string state,
        int attempt = 1,
        long seed = 0,
        string? failure = null,
        string? options = null
    )
    {
        var id = Guid.NewGuid();
        await servers.SqlAsync(
            """
            insert into pipeline.generation_requests
                (correlation_id, request_hash, current_state, prompt, model, width, height, seed, attempt,
                 attempts_from, failure_kind, failure_reason, created_at, updated_at, options)
            values ($1, 'image|' || $1, $2, 'an old prompt', 'some-model', 640, 384, $3, $4, 0, $5, $6, now(), now(),
                $7::jsonb)
            """,
            id,
            state,
            seed,
            attempt,
            failure is null ? DBNull.Value : "transient",
            (object?)failure ?? DBNull.Value,
            (object?)options ?? DBNull.Value
        );
        return id;
    }

    public static Task TargetAsync(
        this ScratchServers servers,
        Guid project,
        Guid generation,
        Guid command,
        Guid image,
        (string Scene, int Slot) place,
        string? outcome
    ) =>
        servers.SqlAsync(
            """
            insert into pipeline.generation_targets
                (command_id, generation_id, project_id, image_id, scene_id, slot, request_hash, outcome, created_at)
            values ($1, $2, $3, $4, $5, $6, '\x00', $7, now())
            """,
            command,
            generation,
            project,
            image,
            place.Scene,
            place.Slot,
            (object?)outcome ?? DBNull.Value
        );

    public static Task StoryboardAsync(
        this ScratchServers servers,
        Guid command,
        Guid project,
        int requested,
        bool isCompleted = false
    ) =>
        servers.SqlAsync(
            "insert into pipeline.generation_storyboards values ($1, $2, $3, now(), case when $4 then now() end)",
            command,
            project,
            requested,
            isCompleted
        );

    public static Task ItemAsync(this ScratchServers servers, Guid storyboard, Guid command, string scene, int slot) =>
        servers.SqlAsync(
            """
            insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
            select command_id, project_id, $2, $3, $4 from pipeline.generation_storyboards where command_id = $1
            """,
            storyboard,
            command,
            scene,
            slot
        );
}
