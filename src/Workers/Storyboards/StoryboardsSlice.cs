using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Storyboards;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class StoryboardsSlice
{
    public static void AddStoryboards(this IServiceCollection services)
    {
        services.AddSingleton<ILaneHandler, DefineScenesHandler>();
        services.AddSingleton(ErasureRule.Delete("scenes", "scenes", "t.project_id = $1"));
    }
}
