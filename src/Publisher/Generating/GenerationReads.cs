using Npgsql;
using Pipeline.Publisher.Status;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Generations, who asked for them, and storyboards.</summary>
internal sealed class GenerationReads(StatusDatabase database)
{
    /// <summary>Requests of one generation that are shown.</summary>
    public const int TargetLimit = 1_000;

    /// <summary>Attempts of one generation that are shown.</summary>
    public const int AttemptLimit = 1_000;

    private const string Targets = """
        select t.command_id, t.generation_id, t.project_id, t.image_id, t.scene_id, t.scene_index, t.slot,
               t.import_command_id, t.save_command_id, t.outcome, t.state, t.attempt, t.failure_reason, t.due_at,
               t.created_at, g.worker_id, g.lease_until
        from status.generation_targets t
        left join status.generations g on g.id = t.generation_id
        """;

    private const string Generations = """
        select id, request_hash, state, prompt, model, width, height, seed, attempt, attempts_from, due_at, deadline_at,
               object_key, failure_kind, failure_reason, worker_id, lease_until, created_at, updated_at,
               options::text
        from status.generations
        """;

    private const string Storyboards = """
        select command_id, project_id, requested, created_at, completed_at, saved, missing_scenes
        from status.generation_storyboards
        """;

    /// <param name="project">The project.</param>
    /// <param name="openOnly">Only what has not ended.</param>
    /// <param name="page">Newest first; those of one moment by scene and slot.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<TargetRow>> OfProjectAsync(
        Guid project,
        bool openOnly,
        Page page,
        CancellationToken cancellation
    ) =>
        database.ReadAsync(
            $"""
            {Targets} where t.project_id = $1 and (not $2 or t.outcome is null)
            order by t.created_at desc, t.scene_index, t.scene_id, t.slot, t.command_id limit $3 offset $4
            """,
            GenerationRows.Target,
            cancellation,
            project,
            openOnly,
            page.Limit,
            page.Offset
        );

    /// <summary>Requests of a project by outcome, and by state while they have none; what did not happen is absent.</summary>
    public async Task<SortedDictionary<string, long>> CountsAsync(Guid project, CancellationToken cancellation) =>
        new(
            (
                await database.ReadAsync(
                    """
                    select coalesce(outcome, lower(state), 'requested') as phase, count(*)
                    from status.generation_targets where project_id = $1 group by phase
                    """,
                    x => (Phase: x.GetString(0), Count: x.GetInt64(1)),
                    cancellation,
                    project
                )
            ).ToDictionary(x => x.Phase, x => x.Count, StringComparer.Ordinal),
            StringComparer.Ordinal
        );

    /// <summary>Of these requests, those that the workers have taken up.</summary>
    public Task<List<TargetRow>> OfCommandsAsync(
        IReadOnlyCollection<CommandKey> commands,
        CancellationToken cancellation
    ) =>
        database.ReadAsync(
            $"{Targets} join unnest($1, $2) as k (p, c) on t.command_id = k.c and t.project_id = k.p",
            GenerationRows.Target,
            cancellation,
            commands.Select(x => x.Scope).ToArray(),
            commands.Select(x => x.CommandId).ToArray()
        );

    /// <param name="id">A generation, or a request for one.</param>
    /// <param name="project">The request's project; null to take the newest request of that id.</param>
    /// <param name="cancellation">Ends the queries.</param>
    public async Task<GenerationStatus?> FindAsync(Guid id, Guid? project, CancellationToken cancellation)
    {
        var request = (
            await database.ReadAsync(
                $"""
                {Targets} where t.command_id = $1 and ($2::uuid is null or t.project_id = $2)
                order by t.created_at desc limit 1
                """,
                GenerationRows.Target,
                cancellation,
                id,
                project
            )
        ).FirstOrDefault();
        if ((await OfIdsAsync([request?.GenerationId ?? id], cancellation)).FirstOrDefault() is not { } generation)
            return null;
        var targets = await database.ReadAsync(
            $"{Targets} where t.generation_id = $1 order by t.created_at, t.command_id limit $2",
            GenerationRows.Target,
            cancellation,
            generation.Id,
            TargetLimit
        );
        var commands = targets
            .SelectMany(x =>
                new[] { x.CommandId, x.ImportCommandId, x.SaveCommandId }.Select(y => (x.ProjectId, Id: y))
            )
            .Where(x => x.Id is not null)
            .Select(x => new CommandKey(x.ProjectId, x.Id!.Value))
            .ToArray();
        var receipts = await new ReceiptReads(database).OfAsync(commands, cancellation);
        var attempts = await database.ReadAsync(
            """
            select attempt, outcome, reason, object_key, worker_id, started_at, ended_at
            from status.generation_attempts where generation_id = $1 order by attempt limit $2
            """,
            GenerationRows.Attempt,
            cancellation,
            generation.Id,
            AttemptLimit
        );
        return new GenerationStatus(generation, attempts, targets, [.. receipts.OrderBy(x => x.At)]);
    }

    public Task<List<GenerationRow>> OfIdsAsync(Guid[] ids, CancellationToken cancellation) =>
        database.ReadAsync($"{Generations} where id = any($1)", GenerationRows.Generation, cancellation, ids);

    /// <summary>Every request for these pictures, the newest first.</summary>
    public Task<List<TargetRow>> OfImagesAsync(Guid project, Guid[] images, CancellationToken cancellation) =>
        database.ReadAsync(
            // The project's index finds them; there is none for pictures.
            $"{Targets} where t.project_id = $1 and t.image_id = any($2) order by t.created_at desc, t.command_id",
            GenerationRows.Target,
            cancellation,
            project,
            images
        );

    /// <param name="project">The project.</param>
    /// <param name="page">Newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<StoryboardRow>> StoryboardsAsync(Guid project, Page page, CancellationToken cancellation) =>
        database.ReadAsync(
            $"{Storyboards} where project_id = $1 order by created_at desc, command_id limit $2 offset $3",
            GenerationRows.Storyboard,
            cancellation,
            project,
            page.Limit,
            page.Offset
        );

    public async Task<StoryboardRow?> StoryboardAsync(CommandKey command, CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                $"{Storyboards} where command_id = $1 and project_id = $2",
                GenerationRows.Storyboard,
                cancellation,
                command.CommandId,
                command.Scope
            )
        ).FirstOrDefault();

    /// <summary>Slots of these scenes that show a picture.</summary>
    public async Task<HashSet<(string Scene, int Slot)>> ShownSlotsAsync(
        Guid project,
        string[] scenes,
        CancellationToken cancellation
    ) =>
        [
            .. await database.ReadAsync(
                """
                select distinct scene_id, slot from status.images
                where project_id = $1 and state = 'shown' and scene_id = any($2)
                """,
                x => (x.GetString(0), x.GetInt32(1)),
                cancellation,
                project,
                scenes
            ),
        ];

    public Task<List<GateRow>> ClosedGatesAsync(CancellationToken cancellation) =>
        database.ReadAsync(
            "select provider, closed_until, reason from status.provider_gates where closed order by provider",
            x => new GateRow(x.GetString(0), x.Instant(1), x.GetString(2)),
            cancellation
        );
}
