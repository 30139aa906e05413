using System.Text;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Wire;

/// <summary>What a publisher makes of messages that the broker refuses, or never confirms.</summary>
public sealed class RefusalTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Run_with_a_refused_message_is_sent_again_in_its_order()
    {
        await using var broker = new ScriptedBroker(x => x == 2 ? Answer.Refuse : Answer.Take);
        // One message at a time: the third is not yet on its way when the second is refused.
        await using var publisher = new ConfirmedPublisher(broker.Address, "run", window: 1);
        var run = Messages("1", "2", "3");

        var error = await Should.ThrowAsync<QueueFullException>(() =>
            publisher.PublishAllAsync(run, CancellationToken.None).WaitAsync(Patience)
        );
        await publisher.PublishAllAsync(run, CancellationToken.None).WaitAsync(Patience);

        error.Message.ShouldContain("is full");
        broker.Queue.Distinct(StringComparer.Ordinal).ShouldBe(["1", "2", "3"]);
    }

    [Fact]
    public async Task Nothing_behind_a_refused_message_of_a_run_counts_as_confirmed()
    {
        // All three have come before the first is answered, so the third is queued and confirmed.
        await using var broker = new ScriptedBroker(x => x == 2 ? Answer.Refuse : Answer.Take, hold: 3);
        await using var publisher = new ConfirmedPublisher(broker.Address, "prefix");

        var confirms = await publisher.SendAllAsync(Messages("1", "2", "3"), CancellationToken.None);
        await Should.ThrowAsync<PublishFailedException>(() => Task.WhenAll(confirms).WaitAsync(Patience));

        confirms.Select(x => x.IsCompletedSuccessfully).ShouldBe([true, false, false]);
        broker.Queue.ShouldBe(["1", "3"]);
    }

    [Fact]
    public async Task Refused_message_fails_alone_where_others_are_no_part_of_its_run()
    {
        await using var broker = new ScriptedBroker(x => x == 2 ? Answer.Refuse : Answer.Take, hold: 3);
        await using var publisher = new ConfirmedPublisher(broker.Address, "neighbours");

        var confirms = new List<Task>();
        foreach (var message in Messages("1", "2", "3"))
            confirms.Add(await publisher.SendAsync(message, CancellationToken.None));
        await Should.ThrowAsync<QueueFullException>(() => Task.WhenAll(confirms).WaitAsync(Patience));

        confirms.Select(x => x.IsCompletedSuccessfully).ShouldBe([true, false, true]);
    }

    [Fact]
    public async Task Message_that_is_not_confirmed_in_time_ends_its_channel()
    {
        var clock = new ManualClock();
        await using var broker = new ScriptedBroker(x => x == 2 ? Answer.Silence : Answer.Take);
        await using var publisher = new ConfirmedPublisher(broker.Address, "silence", clock: clock);

        var confirms = await publisher.SendAllAsync(Messages("1", "2", "3"), CancellationToken.None);
        await confirms[0].WaitAsync(Patience);
        clock.Advance(ConfirmedPublisher.ConfirmTimeout);
        var error = await Should.ThrowAsync<PublishFailedException>(() => Task.WhenAll(confirms).WaitAsync(Patience));
        await publisher.PublishAllAsync(Messages("2", "3"), CancellationToken.None).WaitAsync(Patience);

        error.Message.ShouldContain("did not confirm within");
        confirms[2].IsFaulted.ShouldBeTrue();
        broker.Queue.Distinct(StringComparer.Ordinal).ShouldBe(["1", "2", "3"]);
    }

    [Fact]
    public async Task Full_queue_refuses_a_run_and_takes_it_in_order_once_it_is_read()
    {
        const int count = 50;
        var limit = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["x-queue-type"] = "quorum",
            ["x-max-length"] = 10,
            ["x-overflow"] = "reject-publish",
        };
        await using var queue = await ScratchQueue.DeclareAsync(arguments: limit);
        await using var publisher = new ConfirmedPublisher(Servers.Broker, queue.Name, window: 1);
        var messages = queue.Messages(count);
        var order = messages.Select(x => x.MessageId).ToArray();

        var read = new List<Guid>();
        var refusals = 0;
        while (read.Distinct().Count() < count)
        {
            try
            {
                await publisher.PublishAllAsync(messages, CancellationToken.None).WaitAsync(Patience);
            }
            catch (QueueFullException)
            {
                refusals++;
            }

            read.AddRange(await queue.ReadAllAsync());
            messages = [.. messages.SkipWhile(x => read.Contains(x.MessageId))];
        }

        refusals.ShouldBePositive();
        read.Distinct().ShouldBe(order);
    }

    [Fact]
    public async Task Broker_takes_16_MiB_and_refuses_a_byte_more()
    {
        await using var queue = await ScratchQueue.DeclareAsync();
        await using var publisher = new ConfirmedPublisher(Servers.Broker, queue.Name);
        var largest = queue.Message(Guid.NewGuid()) with { Body = new byte[16 * 1024 * 1024] };
        var larger = queue.Message(Guid.NewGuid()) with { Body = new byte[(16 * 1024 * 1024) + 1] };

        await publisher.PublishAsync(largest, CancellationToken.None).WaitAsync(Patience);
        var error = await Should.ThrowAsync<PublishFailedException>(() =>
            publisher.PublishAsync(larger, CancellationToken.None).WaitAsync(Patience)
        );

        BrokerFailures.Describe(error).ShouldContain("is larger than configured max size 16777216");
        BrokerFailures.IsTransient(error).ShouldBeFalse();
        (await queue.ReadAllAsync()).ShouldBe([largest.MessageId]);
    }

    private static WireMessage[] Messages(params string[] bodies) =>
        [
            .. bodies.Select(x => new WireMessage(
                "any",
                "",
                Guid.NewGuid(),
                Encoding.UTF8.GetBytes(x),
                Mandatory: false
            )),
        ];
}
