using Pipeline.Contracts.Receipts;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>How a replay judges by the receipts of what it has sent.</summary>
/// <param name="Canary">So many go first, alone, and must all end well; 0 for none.</param>
/// <param name="StopAbovePercent">Stops when more than this of the answered failed again; null for never.</param>
/// <param name="Patience">How long nothing may be answered.</param>
internal sealed record WatchLimits(int Canary, double? StopAbovePercent, TimeSpan Patience)
{
    public bool NeedReceipts => Canary > 0 || StopAbovePercent is not null;
}

/// <summary>Follows the receipts of replayed commands, and says when to stop.</summary>
internal sealed class AnswerWatch(WatchLimits limits, ReceiptReads receipts, TimeProvider clock)
{
    // Below so many answers a percentage says nothing.
    private const int JudgedFrom = 20;

    // Replays without an answer. What fails is noticed after so many more at the latest.
    private const int OpenLimit = 200;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<CommandKey, int> _open = [];
    private int _sent;

    public int Answered { get; private set; }

    public int Failed { get; private set; }

    private bool IsCanary => _sent <= limits.Canary;

    /// <summary>How many may go now: the canaries first, alone.</summary>
    public int Allowed => _sent < limits.Canary ? limits.Canary - _sent : int.MaxValue;

    /// <summary>True for a message whose end is told by a receipt under its own id.</summary>
    public static bool IsAnswered(DeadLetter letter) => letter is { CommandId: not null, IsCommand: true };

    /// <summary>Takes note of what was sent, and waits where too much is unanswered.</summary>
    /// <exception cref="FailureException">Enough has failed again, or nothing answers: no more must be sent.</exception>
    public async Task SentAsync(IEnumerable<DeadLetter> letters, CancellationToken cancellation)
    {
        if (!limits.NeedReceipts)
            return;
        foreach (var letter in letters)
        {
            _sent++;
            _open[letter.Key!.Value] = letter.Replays + 1;
        }

        await WaitAsync(IsCanary ? 0 : OpenLimit, cancellation);
    }

    /// <summary>Waits for the last answers.</summary>
    /// <inheritdoc cref="SentAsync" path="/exception"/>
    public Task EndAsync(CancellationToken cancellation) =>
        limits.NeedReceipts ? WaitAsync(0, cancellation) : Task.CompletedTask;

    private async Task WaitAsync(int open, CancellationToken cancellation)
    {
        var since = clock.GetTimestamp();
        while (true)
        {
            var before = _open.Count;
            await PollAsync(cancellation);
            Judge();
            if (_open.Count <= open)
                return;
            if (_open.Count < before)
                since = clock.GetTimestamp();
            else if (clock.GetElapsedTime(since) > limits.Patience)
                throw new FailureException(
                    $"Stopped: {_open.Count} replayed messages have had no answer for {limits.Patience.TotalSeconds:0} s. Are the workers running?"
                );
            await Task.Delay(PollInterval, clock, cancellation);
        }
    }

    private async Task PollAsync(CancellationToken cancellation)
    {
        if (_open.Count == 0)
            return;
        foreach (var receipt in await receipts.OfAsync([.. _open.Keys], cancellation))
        {
            // A failure is the answer only if it is this replay's; any other outcome stands for good.
            if (receipt.Outcome == Outcomes.Failed && receipt.Replays < _open[receipt.Key])
                continue;
            _open.Remove(receipt.Key);
            Answered++;
            if (receipt.Outcome is Outcomes.Failed or Outcomes.Rejected)
                Failed++;
        }
    }

    private void Judge()
    {
        if (limits.Canary > 0 && IsCanary && Failed > 0)
            throw new FailureException(
                $"Stopped: {Failed} of the {_sent} canaries failed again; nothing else was replayed. dead-letters list shows why."
            );
        if (limits.StopAbovePercent is { } percent && Answered >= JudgedFrom && Failed * 100.0 / Answered > percent)
            throw new FailureException(
                $"Stopped: {Failed} of {Answered} answered messages failed again, more than {percent} %. The rest lies in its queue."
            );
    }
}
