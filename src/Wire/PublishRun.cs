namespace Pipeline.Wire;

/// <summary>Messages that are written in order: on one channel, and none behind one that was not confirmed.</summary>
internal sealed class PublishRun
{
    private PublishFailedException? _failure;

    /// <summary>The channel of the run's messages so far; null before the first.</summary>
    /// <remarks>
    /// A run that went on over a new channel would bring its later messages to the queue before the lost ones are sent
    /// again, and so out of order.
    /// </remarks>
    public ConfirmChannel? Channel { get; private set; }

    /// <summary>Why the run has ended; null while it goes on.</summary>
    public PublishFailedException? Failure => Volatile.Read(ref _failure);

    public void StayOn(ConfirmChannel channel) => Channel = channel;

    /// <summary>Ends the run, unless it has ended already.</summary>
    public void End(PublishFailedException failure) => Interlocked.CompareExchange(ref _failure, failure, null);

    public static PublishFailedException NotSent(WireMessage message, PublishFailedException failure) =>
        new($"{message.MessageId} was not sent, because one before it was not confirmed: {failure.Message}", failure);

    /// <summary>The confirm of a message whose predecessor is confirmed, too, or was unroutable.</summary>
    /// <exception cref="PublishFailedException">This message or one before it was not confirmed.</exception>
    public static async Task BehindAsync(Task before, Task own)
    {
        await own.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        try
        {
            await before;
        }
        catch (UnroutableMessageException)
        {
            // Nothing was queued that this message could overtake.
        }

        await own;
    }
}
