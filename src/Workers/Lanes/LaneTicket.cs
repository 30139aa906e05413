using Pipeline.Contracts.Receipts;

namespace Pipeline.Workers.Lanes;

/// <summary>The place of one delivery in its lane.</summary>
internal sealed class LaneTicket(ulong tag, LaneSequencer sequencer)
{
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _isSettled;

    /// <summary>The command; null until it was read, and for ever where it cannot be.</summary>
    public LaneEntry? Entry { get; private set; }

    /// <summary>Gives the command in at its place and waits until it is committed and announced.</summary>
    /// <exception cref="LaneCommandFailedException">It has its <c>failed</c> receipt; the message goes to the dead letters.</exception>
    /// <exception cref="OperationCanceledException">The lane was given up; the broker delivers the message again.</exception>
    public async Task ApplyAsync(LaneEntry entry)
    {
        if (Interlocked.Exchange(ref _isSettled, 1) == 1)
            return;

        Entry = entry;
        sequencer.Settle(tag, this);
        await _answered.Task;
    }

    /// <summary>True once a command was given in or the place was given up.</summary>
    public bool IsSettled => Volatile.Read(ref _isSettled) == 1;

    /// <summary>True for an answered message that goes to the dead letters: it failed, or it cannot be read.</summary>
    public bool IsDeadLetter => Entry is { Command: null } or { Decision.Outcome: Outcomes.Failed };

    /// <summary>Ends when the message has been dealt with: acknowledged, or moved to the dead letters.</summary>
    public Task Left => _left.Task;

    /// <summary>Lets the lane go on behind this place, whatever became of the message.</summary>
    public void Leave()
    {
        if (Interlocked.Exchange(ref _isSettled, 1) == 0)
            sequencer.Settle(tag, ticket: null);
        sequencer.Close(this);
        _left.TrySetResult();
    }

    public void Answer()
    {
        if (Entry!.Decision!.Outcome == Outcomes.Failed)
            _answered.TrySetException(new LaneCommandFailedException(Entry.Decision.Reason!));
        else
            _answered.TrySetResult();
    }

    public void Abandon(CancellationToken given) => _answered.TrySetCanceled(given);
}

/// <summary>A command could not be carried out. Its receipt says <c>failed</c>; replay it once the cause is mended.</summary>
internal sealed class LaneCommandFailedException(string reason) : Exception(reason);
