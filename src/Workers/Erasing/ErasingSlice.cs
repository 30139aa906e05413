using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Erasing;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class ErasingSlice
{
    /// <summary>Adds the lane command and the sweep. What is erased is registered by those who own it.</summary>
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddErasing(this IServiceCollection services, IConfiguration configuration)
    {
        var keep = RetentionRule.Read(configuration, "Deletions", days: 90);
        const string OfEnded = """
            exists (select from pipeline.erasures e where e.id = t.erasure_id and e.ended_at < $1)
            """;
        const string Ended = """
            t.ended_at < $1 and not exists (select from pipeline.erasure_counts c where c.erasure_id = t.id)
            """;
        services.AddSingleton(new RetentionRule("erasure_counts", OfEnded, keep));
        services.AddSingleton(new RetentionRule("erasures", Ended, keep));
        services.AddSingleton<ILaneHandler, EraseProjectHandler>();
        services.AddSingleton<DeadLetterRemoval>();
        services.AddSingleton<ErasureStore>();
        services.AddSingleton(provider => new ErasurePlan(
            provider.GetServices<ErasureWait>(),
            provider.GetServices<ErasureObjects>(),
            provider.GetServices<ErasureRule>(),
            provider.GetServices<ErasureNames>(),
            provider.GetServices<ErasureCount>()
        ));
        services.AddSingleton<ErasureRun>();
        services.AddHostedService<ErasureSweeper>();
    }
}
