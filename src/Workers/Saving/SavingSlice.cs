using Pipeline.Workers.Lanes;

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
    }
}
