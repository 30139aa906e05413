using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Reconciling;

/// <summary>A reconciliation that this worker has taken on.</summary>
/// <param name="Id">The command's id.</param>
/// <param name="Scope">Of the command.</param>
/// <param name="State">What is to be done next.</param>
/// <param name="RepairOf">Whose findings it repairs; null where it looks for findings.</param>
/// <param name="Request">The command as it came.</param>
/// <param name="Replays">Of the command.</param>
/// <param name="Cutoff">What was written later is in flight.</param>
/// <param name="ReadBytes">Whether every picture is read.</param>
/// <param name="AfterKey">The last key compared; empty before the first one.</param>
/// <param name="AfterFinding">The number of the last finding repaired.</param>
/// <param name="Objects">Compared so far.</param>
/// <param name="Findings">Found or repaired so far.</param>
/// <param name="Epoch">Of this worker's taking on; compared with every write.</param>
/// <param name="StartedAt">UTC.</param>
internal sealed record Reconciliation(
    Guid Id,
    Guid Scope,
    string State,
    Guid? RepairOf,
    byte[] Request,
    int Replays,
    DateTimeOffset Cutoff,
    bool ReadBytes,
    string AfterKey,
    int AfterFinding,
    long Objects,
    long Findings,
    long Epoch,
    DateTimeOffset StartedAt
)
{
    public const string Comparing = "Comparing";
    public const string Repairing = "Repairing";
    public const string Settling = "Settling";
    public const string Completed = "Completed";
    public const string Failed = "Failed";

    public CommandRequest Command =>
        new(Id, Guid.Empty, WireNames.ExchangeOf<Reconcile>(), Request, Replays) { Scope = Scope };

    /// <summary>The event of its end.</summary>
    public Announcement Tell(string? failure, DateTimeOffset at) =>
        failure is null
            ? Announcement.Of(Command.Key, new StoresReconciled(Id, RepairOf, Objects, Findings, at))
            : Announcement.Of(Command.Key, new CommandFailed(Id, Guid.Empty, Command.Command, failure, at));
}

/// <summary>Another worker has taken the reconciliation over; nothing was written.</summary>
internal sealed class ReconciliationLostException(Guid id)
    : Exception($"Reconciliation {id} was taken over by another worker.");
