using MassTransit;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>
/// What an erasure has to know of generation. Prompts and originals go by themselves when the project is deleted; the
/// erasure waits for them.
/// </summary>
internal static class GenerationErasure
{
    private const string NotEnded = """
        select exists (select from pipeline.generation_targets t where t.project_id = $1 and t.released_at is null)
            or exists (select from pipeline.generation_targets t
                       join pipeline.generation_requests g on g.correlation_id = t.generation_id
                       where t.project_id = $1 and g.current_state = 'Removing')
        """;

    // What began before there were removals, or whose message was lost, is asked for once more. It takes effect once.
    private const string AskAgain = """
        insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory)
        select 'generation-released', '', gen_random_uuid(),
               convert_to(json_build_object('generationId', t.generation_id)::text, 'UTF8'), true
        from (select distinct generation_id from pipeline.generation_targets
              where project_id = $1 and released_at is null and outcome is not null limit 100) t
        where exists (select from pipeline.projects p where p.id = $1 and p.purge_started_at is not null)
        """;

    // What another project has asked for as well stays with that one.
    private const string Removed = """
        from pipeline.generation_targets t
        join pipeline.generation_requests g on g.correlation_id = t.generation_id and g.current_state = 'Removed'
        where t.project_id = $1
        """;

    private const string OfProject = """
        exists (
            select from pipeline.generation_storyboards s
            where s.command_id = t.storyboard_id and s.project_id = t.project_id and s.project_id = $1)
        """;

    private const string WithoutItems = """
        t.project_id = $1
        and not exists (
            select from pipeline.generation_storyboard_items i
            where i.storyboard_id = t.command_id and i.project_id = t.project_id)
        """;

    public static void AddErasure(IBusRegistrationConfigurator bus)
    {
        bus.AddSingleton(new ErasureWait("generations that are not removed yet", NotEnded, AskAgain));
        bus.AddSingleton(new ErasureNames($"select distinct t.generation_id {Removed}"));
        bus.AddSingleton(new ErasureCount("generations", $"select count(distinct t.generation_id) {Removed}"));
        bus.AddSingleton(ErasureRule.Delete("storyboard-requests", "generation_storyboard_items", OfProject));
        bus.AddSingleton(ErasureRule.Delete("storyboards", "generation_storyboards", WithoutItems));
    }
}
