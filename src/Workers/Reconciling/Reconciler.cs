using Npgsql;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Reconciling;

/// <summary>
/// Works reconciliations off, a stretch at a time. Runs in every process; who holds the lease works, and another one
/// goes on behind the last committed stretch when it is not renewed.
/// </summary>
internal sealed partial class Reconciler(
    ReconciliationLedger ledger,
    StoreComparison comparison,
    RepairDesk repairs,
    StorageOptions storage,
    ReconcilingOptions options,
    ReconcilingMetrics metrics,
    TimeProvider clock,
    ILogger<Reconciler> logger
) : Sweeper(LookEvery, clock, logger)
{
    /// <summary>Findings that one reconciliation keeps; the rest is counted, and found by the next one after a repair.</summary>
    private const int FindingLimit = 100_000;

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan SettlePause = TimeSpan.FromMilliseconds(500);

    // A command that lies in the dead letters may never have its receipt, and the bucket's next reconciliation waits.
    private static readonly TimeSpan SettleWithin = TimeSpan.FromDays(1);

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        try
        {
            if (await ledger.ClaimAsync(storage.Bucket, stopping) is { } run)
                await WorkAsync(run, stopping);
        }
        catch (ReconciliationLostException e)
        {
            Waits(e.Message);
        }
    }

    private async Task WorkAsync(Reconciliation run, CancellationToken stopping)
    {
        Taken(run.Id, run.State, run.Epoch);
        using var worked = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var renewing = RenewAsync(run, worked.Token);
        Pause? pause;
        try
        {
            pause = run.RepairOf is { } found
                ? await RepairAsync(run, found, stopping)
                : await CompareAsync(run, stopping);
        }
        catch (StorageUnavailableException e)
        {
            pause = new Pause(e.Message, OutagePause);
        }
        catch (Exception e) when (IsFinal(e, stopping))
        {
            // The store's settings, or what nobody expects: the next try would end the same, and others wait for it.
            pause = null;
            await ledger.EndAsync(run, e.Message, "", stopping);
            Broken(e is StorageMisconfiguredException ? null : e, run.Id, e.Message);
        }
        finally
        {
            await worked.CancelAsync();
            await renewing;
        }

        if (pause is not null)
            await ledger.WaitAsync(run, pause.Reason, pause.Length, stopping);
    }

    private static bool IsFinal(Exception e, CancellationToken stopping) =>
        !stopping.IsCancellationRequested
        && e is not (ReconciliationLostException or OutOfMemoryException)
        && !Transience.IsOutage(e)
        && !Transience.IsContention(e);

    /// <summary>A stretch whose pictures are read may take longer than a lease.</summary>
    private async Task RenewAsync(Reconciliation run, CancellationToken worked)
    {
        using var timer = new PeriodicTimer(options.LeaseLength / 3, Clock);
        try
        {
            while (await timer.WaitForNextTickAsync(worked))
                await ledger.RenewAsync(run, worked);
        }
        catch (OperationCanceledException) when (worked.IsCancellationRequested)
        {
            // The work is done.
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Waits(e.Message); // The next write of the work tells whether the lease was lost.
        }
    }

    private async Task<Pause?> CompareAsync(Reconciliation run, CancellationToken stopping)
    {
        while (true)
        {
            var stretch = await comparison.CompareAsync(run.AfterKey, run.Cutoff, run.ReadBytes, stopping);
            var kept = stretch.Findings.Take((int)Math.Max(0, FindingLimit - run.Findings)).ToList();
            var next = run with
            {
                AfterKey = stretch.Last ?? run.AfterKey,
                Objects = run.Objects + stretch.Objects,
                Findings = run.Findings + stretch.Findings.Count,
            };
            await ledger.KeepAsync(next, stretch.Rows, kept, run.Findings, stopping);
            metrics.Compared(stretch.Objects);
            foreach (var kind in stretch.Findings.CountBy(x => x.Kind))
                metrics.Found(kind.Key, kind.Value);
            run = next;
            if (stretch.Last is null)
                break;
        }

        await EndAsync(run, $"{run.Findings} findings in {run.Objects} objects.", stopping);
        return null;
    }

    private async Task<Pause?> RepairAsync(Reconciliation run, Guid found, CancellationToken stopping)
    {
        while (run.State == Reconciliation.Repairing)
            run = await repairs.RepairAsync(run, found, stopping);

        var (open, failed, all) = await repairs.CountAsync(found, stopping);
        if (open > 0 && Clock.GetUtcNow() - run.StartedAt < SettleWithin)
            return new Pause($"{open} of {all} commands have no receipt yet.", SettlePause * (1 + (all / 2_000)));
        if (open > 0)
            throw new UnsettledRepairException(open, all, SettleWithin);
        await EndAsync(run, $"{all} commands, {failed} of them failed.", stopping);
        return null;
    }

    private async Task EndAsync(Reconciliation run, string result, CancellationToken stopping)
    {
        await ledger.EndAsync(run, failure: null, result, stopping);
        Ended(run.Id, result);
    }

    private sealed record Pause(string Reason, TimeSpan Length);

    [LoggerMessage(Level = LogLevel.Information, Message = "Reconciliation {Id} goes on: {State} (epoch {Epoch})")]
    private partial void Taken(Guid id, string state, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Reconciliation {Id} has ended: {Result}")]
    private partial void Ended(Guid id, string result);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The reconciliation waits: {Error}")]
    private partial void Waits(string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Reconciliation {Id} cannot go on: {Error}")]
    private partial void Broken(Exception? exception, Guid id, string error);
}

/// <summary>Some of a repair's commands have no receipt after a long time: look among the dead letters.</summary>
internal sealed class UnsettledRepairException(long open, long all, TimeSpan within)
    : Exception($"{open} of {all} commands have no receipt after {within.TotalHours:0} hours: see the dead letters.");
