namespace Pipeline.Wire;

/// <summary>A mandatory message reached no queue: nothing consumes its type, or the workers have never run here.</summary>
public sealed class UnroutableMessageException(WireMessage message, string reason)
    : Exception($"No queue is bound to exchange '{message.Exchange}' for {message.MessageId} ({reason}).");

/// <summary>A message was not confirmed. It may have arrived: send it again under the same id.</summary>
public class PublishFailedException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A queue refused a message (basic.nack), because it holds as many bytes as it may. It did not take it.</summary>
public sealed class QueueFullException(WireMessage message)
    : PublishFailedException(
        $"The broker refused {message.MessageId}: the queue behind exchange '{message.Exchange}' is full."
    );
