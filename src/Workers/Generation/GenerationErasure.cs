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

    // What another project has asked for as well stays with that one.
    private const string Removed = """
        from pipeline.generation_targets t
        join pipeline.generation_requests g on g.correlation_id = t.generation_id and g.current_state = 'Removed'
        where t.project_id = $1
        """;

    private const string OfStoryboards = """
        exists (select from pipeline.generation_storyboards s
            where s.command_id = t.storyboard_id and s.project_id = $1)
        """;

    private const string WithoutItems = """
        t.project_id = $1
        and not exists (select from pipeline.generation_storyboard_items i where i.storyboard_id = t.command_id)
        """;

    public static void AddErasure(IBusRegistrationConfigurator bus)
    {
        bus.AddSingleton(new ErasureWait("generations that are not removed yet", NotEnded));
        bus.AddSingleton(new ErasureNames($"select distinct t.generation_id {Removed}"));
        bus.AddSingleton(new ErasureCount("generations", $"select count(distinct t.generation_id) {Removed}"));
        bus.AddSingleton(ErasureRule.Delete("storyboard-requests", "generation_storyboard_items", OfStoryboards));
        bus.AddSingleton(ErasureRule.Delete("storyboards", "generation_storyboards", WithoutItems));
    }
}
