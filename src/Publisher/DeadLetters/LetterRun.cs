using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Carries an action out on the selected letters of a queue, in the queue's order.</summary>
/// <remarks>
/// For each handful: the audit is confirmed, the messages are confirmed, the letters are acknowledged. Whatever the
/// instruction at which the process ends, a letter lies in its queue or its message in the origin's, or both, and then
/// the receipt makes the second one harmless. The queue itself is what is left to do: the next run goes on from there.
/// </remarks>
internal sealed class LetterRun(
    Uri broker,
    LetterAction action,
    LetterSelection selection,
    AuditTrail audit,
    Pace pace,
    AnswerWatch? watch,
    TimeProvider clock
) : IAsyncDisposable
{
    // Below the broker's limit of 30 minutes for an unanswered delivery (RabbitMQ, "Consumers").
    private static readonly TimeSpan PassLimit = TimeSpan.FromMinutes(10);

    private readonly ConfirmedPublisher _publisher = new(broker, $"publisher dead-letters {action.Name}");
    private readonly string _run = audit.RunId.ToString();

    /// <summary>Letters that were handled.</summary>
    public int Handled { get; private set; }

    /// <summary>Called after each handful.</summary>
    public Func<int, Task> Progress { get; init; } = _ => Task.CompletedTask;

    /// <param name="queue">A dead-letter queue.</param>
    /// <param name="limit">Letters at most: what lay there when the run was planned, so that it ends.</param>
    /// <param name="cancellation">Ends the run after the handful at hand.</param>
    /// <exception cref="FailureException">The watch says stop, or the queue holds too much else.</exception>
    /// <exception cref="PublishFailedException">The broker failed; what is not handled lies in its queue.</exception>
    public async Task HandleAsync(string queue, int limit, CancellationToken cancellation)
    {
        for (var left = limit; left > 0; )
        {
            var (handled, sawAll) = await PassAsync(queue, left, cancellation);
            left -= handled;
            if (sawAll)
                return;
            if (handled == 0)
                throw new FailureException(
                    $"None of the first {DeskPass.Width} messages in {queue} is meant, and no more can be held: park or discard those first."
                );
        }
    }

    public ValueTask DisposeAsync() => _publisher.DisposeAsync();

    private async Task<(int Handled, bool SawAll)> PassAsync(string queue, int limit, CancellationToken cancellation)
    {
        var started = clock.GetTimestamp();
        var before = Handled;
        var chunk = new List<DeadLetter>();
        await using var pass = await DeskPass.OpenAsync(broker, queue, cancellation);
        await foreach (var letter in pass.ReadAsync(cancellation))
        {
            if (!selection.Takes(letter, clock.GetUtcNow()) || letter.ReplayRun == _run)
                continue;

            // One of a project at a time: a message that the broker refuses is then not overtaken by the next one.
            if (chunk.Count >= Allowed || chunk.Exists(x => x.RoutingKey == letter.RoutingKey))
                await HandleAsync(pass, chunk, cancellation);
            if (Handled - before + chunk.Count >= limit)
                return await EndAsync(sawAll: true);
            if (clock.GetElapsedTime(started) > PassLimit)
                return await EndAsync(sawAll: false);
            chunk.Add(letter);
        }

        return await EndAsync(pass.SeesAll);

        async Task<(int, bool)> EndAsync(bool sawAll)
        {
            await HandleAsync(pass, chunk, cancellation);
            return (Handled - before, sawAll);
        }
    }

    private int Allowed => Math.Min(pace.Chunk, watch?.Allowed ?? int.MaxValue);

    private async Task HandleAsync(DeskPass pass, List<DeadLetter> chunk, CancellationToken cancellation)
    {
        if (chunk.Count == 0)
            return;
        cancellation.ThrowIfCancellationRequested();
        await pace.WaitAsync(chunk.Count, cancellation);
        var steps = await audit.BeginAsync(action.Name, chunk, successor: null, cancellation);
        var messages = chunk.Select(x => action.Send(x, audit.RunId)).OfType<WireMessage>().ToArray();

        // From here to the acknowledgement nothing is cut short: a letter would be sent now and by the next run again.
        await _publisher.PublishAllAsync(messages, CancellationToken.None);
        await pass.AcknowledgeAsync(chunk, CancellationToken.None);
        audit.End(steps);
        Handled += chunk.Count;
        await Progress(Handled);
        if (watch is not null)
            await watch.SentAsync(chunk, cancellation);
        chunk.Clear();
    }
}
