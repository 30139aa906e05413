using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Saving;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class SavingSlice
{
    public static void AddSaving(this IServiceCollection services)
    {
        services.AddSingleton<ILaneHandler, SaveImageHandler>();
        services.AddSingleton<ILaneHandler, ReplaceImageHandler>();
        services.AddSingleton<ILaneHandler, ConfirmObjectHandler>();
        services.AddSingleton<ILaneHandler, RetractObjectHandler>();
        services.AddHostedService<WaitingObjectSweeper>();
        // The tombstones stay; the ids of scenes are their senders' text.
        services.AddSingleton(
            ErasureRule.Update(
                "images",
                "images",
                "scene_id = null, scene_index = null",
                "t.project_id = $1 and (t.scene_id is not null or t.scene_index is not null)"
            )
        );
    }
}
