namespace Pipeline.Workers.Messaging;

/// <summary>
/// A copy of a dead letter of any queue, whatever is in it. Who consumes it reads the delivery; this record is empty.
/// </summary>
internal sealed record DeadLetterCopy
{
    /// <summary>The queue of the copies; the exchanges of all other queues' dead letters are bound to its exchange.</summary>
    public const string Queue = "dead-letter-copies";
}
