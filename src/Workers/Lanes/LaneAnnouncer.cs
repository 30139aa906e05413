using Pipeline.Wire;

namespace Pipeline.Workers.Lanes;

/// <summary>
/// Publishes a lane's events after their commit and before the command is acknowledged: a crash in between leads to a
/// redelivery, which finds the receipt and announces the same bytes again.
/// </summary>
internal sealed class LaneAnnouncer(ConfirmedPublisher publisher, ILogger<LaneAnnouncer> logger)
{
    private static readonly TimeSpan PauseBeforeRepeat = TimeSpan.FromSeconds(1);

    /// <summary>Sends the events in order.</summary>
    /// <returns>Ends when the broker has confirmed all of them; it is repeated until then.</returns>
    public async Task<Task> AnnounceAsync(int lane, IEnumerable<LaneReceipt> receipts, CancellationToken given)
    {
        var messages = receipts.SelectMany(Messages).ToArray();
        var confirms = new List<Task>(messages.Length);
        try
        {
            foreach (var message in messages)
                confirms.Add(await publisher.SendAsync(message, given));
        }
        catch (PublishFailedException e)
        {
            confirms.Add(Task.FromException(e));
        }

        return ConfirmAsync(lane, messages, confirms, given);
    }

    private async Task ConfirmAsync(int lane, WireMessage[] messages, List<Task> confirms, CancellationToken given)
    {
        try
        {
            await Task.WhenAll(confirms).WaitAsync(given);
            return;
        }
        catch (PublishFailedException e)
        {
            LaneLog.AnnouncementRepeated(logger, lane, e.Message);
        }

        while (true)
        {
            await Task.Delay(PauseBeforeRepeat, given);
            try
            {
                await publisher.PublishAllAsync(messages, given);
                return;
            }
            catch (PublishFailedException e)
            {
                LaneLog.AnnouncementRepeated(logger, lane, e.Message);
            }
        }
    }

    private static IEnumerable<WireMessage> Messages(LaneReceipt receipt) =>
        receipt.Announcements.Select(x => new WireMessage(
            x.Exchange,
            WireNames.RoutingKeyOf(receipt.Entry.ProjectId),
            x.MessageId,
            x.Body,
            Mandatory: false
        ));
}
