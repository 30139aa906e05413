using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Erasing;

/// <summary>Goes on with erasures. Runs in every process; a claim keeps two of them from the same erasure.</summary>
internal sealed partial class ErasureSweeper(
    ErasureStore erasures,
    ErasureRun run,
    TimeProvider clock,
    ILogger<ErasureSweeper> logger
) : Sweeper(Every, clock, logger)
{
    private const int ReasonLength = 1_000;

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    // Store, broker or database are away, or a person has the dead letters in hand.
    private static readonly TimeSpan FailurePause = TimeSpan.FromSeconds(10);

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        while (await erasures.ClaimAsync(stopping) is { } erasure)
            await RunAsync(erasure, stopping);
    }

    private async Task RunAsync(Erasure erasure, CancellationToken stopping)
    {
        try
        {
            if (await run.RunAsync(erasure, stopping) is null)
                Erased(erasure.ProjectId, erasure.Id);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested && e is not OutOfMemoryException)
        {
            var reason = Wire.ShortText.Cut($"{e.GetType().Name}: {e.Message}", ReasonLength);
            Failed(erasure.ProjectId, erasure.Id, reason);
            await erasures.PostponeAsync(erasure, FailurePause, reason, erasure.Passes, stopping);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Project {ProjectId} is erased (erasure {ErasureId})")]
    private partial void Erased(Guid projectId, Guid erasureId);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The erasure of project {ProjectId} (erasure {ErasureId}) is tried again: {Reason}"
    )]
    private partial void Failed(Guid projectId, Guid erasureId, string reason);
}
