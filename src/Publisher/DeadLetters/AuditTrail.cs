using Pipeline.Contracts.DeadLetters;
using Pipeline.Publisher.Publishing;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// Tells the workers what is about to be done about dead letters, and then that it is done. The broker has confirmed
/// the first before a dead letter is touched, so that nothing can be done without a trace.
/// </summary>
/// <param name="broker">The broker.</param>
/// <param name="clock">When things are done.</param>
/// <param name="by">Who does them.</param>
/// <param name="reason">Why; null where none is given.</param>
internal sealed class AuditTrail(Uri broker, TimeProvider clock, string by, string? reason) : IAsyncDisposable
{
    public const int ByLength = 200;

    private readonly CommandSender _sender = new(broker, "publisher dead-letters audit", clock);
    private readonly List<DeadLetterStep> _ended = [];

    /// <summary>One call of a verb; its replays carry it.</summary>
    public Guid RunId { get; } = Guid.NewGuid();

    /// <summary>Who runs this program, as the operating system says: <c>jane@desk-3</c>.</summary>
    public static string Operator => $"{Environment.UserName}@{Environment.MachineName}";

    /// <summary>Records what is about to be done, and with it what has been done before.</summary>
    /// <returns>The steps, for <see cref="End"/>.</returns>
    /// <exception cref="PublishFailedException">It is not recorded; the dead letters must not be touched.</exception>
    /// <exception cref="UnroutableMessageException">No worker has ever declared the queue for it; likewise.</exception>
    public async Task<IReadOnlyList<DeadLetterStep>> BeginAsync(
        string action,
        IReadOnlyCollection<DeadLetter> letters,
        Guid? successor,
        CancellationToken cancellation
    )
    {
        var now = clock.GetUtcNow();
        var steps = letters
            .Select(x => new DeadLetterStep(
                ActionIdOf(action, x, successor),
                action,
                x.Queue,
                x.MessageId,
                x.Type,
                x.ProjectId,
                action == DeadLetterActions.Replay ? x.Replays + 1 : 0,
                successor,
                now,
                DoneAt: null
            ))
            .ToList();
        await SendAsync([.. _ended, .. steps], cancellation);
        _ended.Clear();
        return steps;
    }

    /// <summary>Notes that the letters have left their queue; told with the next beginning, or by <see cref="FlushAsync"/>.</summary>
    public void End(IEnumerable<DeadLetterStep> steps) =>
        _ended.AddRange(steps.Select(x => x with { DoneAt = clock.GetUtcNow() }));

    /// <summary>Tells what has been done and is not told yet.</summary>
    public async Task FlushAsync(CancellationToken cancellation)
    {
        if (_ended.Count == 0)
            return;
        await SendAsync(_ended, cancellation);
        _ended.Clear();
    }

    public ValueTask DisposeAsync() => _sender.DisposeAsync();

    // An edit that was cut short is the same action when it is done again; a replay is another one each time.
    private Guid ActionIdOf(string action, DeadLetter letter, Guid? successor) =>
        successor is { } edit
            ? NameBasedGuid.Create(edit, action)
            : NameBasedGuid.Create(RunId, $"{action} {letter.Queue} {letter.MessageId} {letter.Tag}");

    private Task SendAsync(IReadOnlyList<DeadLetterStep> steps, CancellationToken cancellation)
    {
        var record = new RecordDeadLetterActions(RunId, by, reason, steps);
        return _sender.SendAsync(WireMessage.Command(record, Guid.NewGuid(), Guid.Empty), cancellation);
    }
}
