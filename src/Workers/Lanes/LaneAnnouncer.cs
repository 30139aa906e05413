using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Publishes a lane's events after their commit and before the command is acknowledged: a crash in between leads to a
/// redelivery, which finds the receipt and announces the same bytes again.
/// </summary>
internal sealed class LaneAnnouncer(
    ConfirmedPublisher publisher,
    MessagingOptions options,
    ILogger<LaneAnnouncer> logger
)
{
    private static readonly TimeSpan PauseBeforeRepeat = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Sends the events in order, and again until the broker has confirmed all of them. The caller announces one batch
    /// after the other, so that a repetition is not overtaken by the next batch.
    /// </summary>
    public async Task AnnounceAsync(int lane, IEnumerable<LaneReceipt> receipts, CancellationToken given)
    {
        var messages = receipts.SelectMany(Messages).ToArray();
        while (true)
        {
            try
            {
                await publisher.PublishAllAsync(messages, given).WaitAsync(given);
                return;
            }
            catch (PublishFailedException e)
            {
                LaneLog.AnnouncementRepeated(logger, lane, e.Message);
            }

            await Task.Delay(PauseBeforeRepeat, given);
        }
    }

    private IEnumerable<WireMessage> Messages(LaneReceipt receipt) =>
        receipt.Announcements.Select(x => CloudEvents.Dress(x.ToWire(receipt.Entry.ProjectId), options.EventForm));
}
