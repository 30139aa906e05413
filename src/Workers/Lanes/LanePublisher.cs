using Pipeline.Wire;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Publishes a lane's events and dead letters after their commit and before the commands are acknowledged: a crash in
/// between leads to a redelivery, which finds the receipts and publishes the same events again.
/// </summary>
internal sealed class LanePublisher(ConfirmedPublisher publisher, TimeProvider clock, ILogger<LanePublisher> logger)
    : ILanePublisher
{
    private static readonly TimeSpan PauseBeforeRepeat = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Sends the messages in order, and again until the broker has confirmed all of them. The caller publishes one
    /// batch after the other, so that a repetition is not overtaken by the next batch.
    /// </summary>
    public async Task PublishAsync(int lane, IReadOnlyList<WireMessage> messages, CancellationToken given)
    {
        while (messages.Count > 0)
        {
            try
            {
                await publisher.PublishAllAsync(messages, given).WaitAsync(given);
                return;
            }
            catch (Exception e) when (e is PublishFailedException or UnroutableMessageException)
            {
                LaneLog.PublishRepeated(logger, lane, e.Message);
            }

            await Task.Delay(PauseBeforeRepeat, clock, given);
        }
    }
}
