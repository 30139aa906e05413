using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Wire;

/// <summary>A run of publishes whose channel is lost in the middle, and what the queue holds before and after a resend.</summary>
public sealed class RunOrderTests
{
    private const int Lost = 400;

    // Beyond the larger window, so that each run must see the loss before it is written to its end.
    private const int Count = 2_000;

    [Theory]
    [InlineData(16)]
    [InlineData(ConfirmedPublisher.DefaultWindow)]
    public async Task Nothing_later_of_a_run_reaches_the_queue_once_its_channel_is_lost(int window)
    {
        await using var queue = await ScratchQueue.DeclareAsync();
        await using var publisher = new ConfirmedPublisher(Servers.Broker, queue.Name, window);
        var messages = queue.Messages(Count);
        var broken = messages.ToArray();
        // The broker closes the channel that publishes to an exchange that is not there, and takes nothing behind it.
        broken[Lost] = broken[Lost] with
        {
            Exchange = $"{queue.Name}-unknown",
        };

        var confirms = await publisher.SendAllAsync(broken, CancellationToken.None);
        await Should.ThrowAsync<PublishFailedException>(() => Task.WhenAll(confirms));
        var first = await queue.ReadAllAsync();
        await publisher.PublishAllAsync(messages, CancellationToken.None);
        var second = await queue.ReadAllAsync();

        confirms.Count.ShouldBe(Count);
        confirms.Skip(Lost).ShouldAllBe(x => x.IsFaulted);
        var ids = messages.Select(x => x.MessageId).ToList();
        first.ShouldBe(ids.Take(Lost));
        first.Concat(second).Distinct().ShouldBe(ids);
    }
}
