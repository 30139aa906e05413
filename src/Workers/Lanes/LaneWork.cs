using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>A batch of a lane, from its deliveries to the messages that follow from it.</summary>
internal sealed class LaneWork(LaneReader reader, LaneApplier applier, MessagingOptions messaging, TimeProvider clock)
    : ILaneWork
{
    public async Task<IReadOnlyList<WireMessage>> ApplyAsync(
        int lane,
        IReadOnlyList<Delivery> batch,
        CancellationToken given
    )
    {
        var items = new LaneItem[batch.Count];
        for (var i = 0; i < items.Length; i++)
            items[i] = reader.Read(lane, batch[i]);

        LaneEntry[] entries = [.. items.Select(x => x.Entry).OfType<LaneEntry>()];
        if (entries.Length > 0)
            await applier.ApplyAsync(lane, entries, given);

        var messages = new List<WireMessage>(items.Length);
        foreach (var item in items)
        {
            if (item.Entry is { Decision: { } decision } entry)
            {
                foreach (var announcement in decision.Announcements)
                    messages.Add(CloudEvents.Dress(announcement.ToWire(entry.ProjectId), messaging.EventForm));
            }

            if (DeadLetterOf(lane, item) is { } letter)
                messages.Add(letter);
        }

        return messages;
    }

    /// <returns>Null for a message that is done with.</returns>
    private WireMessage? DeadLetterOf(int lane, LaneItem item)
    {
        var queue = WireNames.LaneQueue(lane);
        if (item.Unreadable is { } unreadable)
        {
            return unreadable.Error is { } error
                ? LaneDeadLetters.Fault(queue, messaging.Broker, item.Delivery, error, clock.GetUtcNow())
                : LaneDeadLetters.Skipped(queue, item.Delivery);
        }

        return item.Entry is { Decision: { Outcome: Outcomes.Failed, Reason: var reason } }
            ? LaneDeadLetters.Fault(
                queue,
                messaging.Broker,
                item.Delivery,
                new LaneCommandFailedException(reason!),
                clock.GetUtcNow(),
                item.Entry.Command!.GetType()
            )
            : null;
    }
}

/// <summary>A command could not be carried out. Its receipt says <c>failed</c>; replay it once the cause is removed.</summary>
internal sealed class LaneCommandFailedException(string reason) : Exception(reason);
