using System.Text.Json;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Wire;

public sealed class ConfirmedPublisherTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Sends_that_nobody_awaits_arrive_in_the_order_of_the_calls()
    {
        const int count = 5_000;
        await using var queue = await ScratchQueue.DeclareAsync();
        await using var publisher = Publisher(queue.Name);
        var messages = queue.Messages(count);

        // Not even the place in the window is awaited: four fifths of these calls wait for it at the same time.
        var sends = messages.Select(x => publisher.SendAsync(x, CancellationToken.None)).ToArray();
        var confirms = await Task.WhenAll(sends).WaitAsync(Patience);
        await Task.WhenAll(confirms).WaitAsync(Patience);

        (await queue.ReadAllAsync()).ShouldBe(messages.Select(x => x.MessageId));
    }

    [Fact]
    public async Task Mandatory_message_that_reaches_no_queue_is_an_error()
    {
        await using var queue = await ScratchQueue.DeclareAsync(bind: false);
        await using var publisher = Publisher(queue.Name);

        var error = await Should.ThrowAsync<UnroutableMessageException>(() =>
            publisher.PublishAsync(queue.Message(Guid.NewGuid()), CancellationToken.None)
        );

        error.Message.ShouldContain(queue.Name);
    }

    [Fact]
    public async Task Unroutable_message_is_told_from_its_routable_neighbours()
    {
        await using var bound = await ScratchQueue.DeclareAsync();
        await using var unbound = await ScratchQueue.DeclareAsync(bind: false);
        await using var publisher = Publisher(bound.Name);
        var messages = bound.Messages(200);
        messages[77] = unbound.Message(Guid.NewGuid());

        var confirms = new List<Task>();
        foreach (var message in messages)
            confirms.Add(await publisher.SendAsync(message, CancellationToken.None));
        await Should.ThrowAsync<UnroutableMessageException>(() => Task.WhenAll(confirms).WaitAsync(Patience));

        confirms.FindAll(x => x.IsFaulted).ShouldBe([confirms[77]]);
        (await bound.ReadAllAsync()).Count.ShouldBe(199);
    }

    [Fact]
    public async Task Event_without_a_reader_is_no_error()
    {
        await using var queue = await ScratchQueue.DeclareAsync(bind: false);
        await using var publisher = Publisher(queue.Name);

        await publisher.PublishAsync(queue.Message(Guid.NewGuid(), mandatory: false), CancellationToken.None);
    }

    [Fact]
    public async Task After_an_unknown_exchange_the_next_publish_works()
    {
        await using var queue = await ScratchQueue.DeclareAsync();
        await using var publisher = Publisher(queue.Name);
        var astray = queue.Message(Guid.NewGuid()) with { Exchange = $"{queue.Name}-unknown" };
        var next = queue.Message(Guid.NewGuid());

        await Should.ThrowAsync<PublishFailedException>(() => publisher.PublishAsync(astray, CancellationToken.None));
        await publisher.PublishAsync(next, CancellationToken.None).WaitAsync(Patience);

        (await queue.ReadAllAsync()).ShouldBe([next.MessageId]);
    }

    [Fact]
    public async Task Connection_closed_by_the_broker_hangs_no_send_and_loses_no_confirmed_one()
    {
        const int count = 20_000;
        await using var queue = await ScratchQueue.DeclareAsync();
        var name = $"closed-{queue.Name}";
        await using var publisher = Publisher(name);
        var confirmed = new List<Guid>();
        var failed = 0;
        var closes = 0;

        var confirms = new List<(Guid Id, Task Confirm)>();
        for (var i = 0; i < count; i++)
        {
            // In mid-stream: about a thousand messages are unconfirmed at these moments.
            if (i is 6_000 or 12_000)
                closes += await CloseConnectionsAsync(name);
            var message = queue.Message(Guid.NewGuid());
            try
            {
                confirms.Add((message.MessageId, await publisher.SendAsync(message, CancellationToken.None)));
            }
            catch (PublishFailedException)
            {
                failed++;
            }
        }

        foreach (var (id, confirm) in confirms)
        {
            try
            {
                await confirm.WaitAsync(Patience);
                confirmed.Add(id);
            }
            catch (PublishFailedException)
            {
                failed++;
            }
        }

        closes.ShouldBe(2);
        (confirmed.Count + failed).ShouldBe(count);
        confirmed.Count.ShouldBeGreaterThan(count / 2);
        var queued = (await queue.ReadAllAsync()).ToHashSet();
        confirmed.Where(x => !queued.Contains(x)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Send_that_waits_for_room_ends_when_the_connection_is_cut()
    {
        const int count = 5_000;
        await using var queue = await ScratchQueue.DeclareAsync();
        await using var network = new StallingProxy(Servers.Broker);
        // The window is wider than the run, so that nothing but the network holds a send up.
        await using var publisher = new ConfirmedPublisher(network.Address, queue.Name, window: count);
        await publisher.PublishAsync(queue.Message(Guid.NewGuid()), CancellationToken.None);
        var body = new byte[16 * 1024];
        var sent = 0;

        network.Stall();
        var sending = Task.Run(async () =>
        {
            for (; sent < count; sent++)
                _ = await publisher.SendAsync(
                    queue.Message(Guid.NewGuid()) with
                    {
                        Body = body,
                    },
                    CancellationToken.None
                );
        });
        await StandsStillAsync(() => Volatile.Read(ref sent));
        sent.ShouldBeInRange(1, count - 1);
        network.Cut();

        await Should.ThrowAsync<PublishFailedException>(() => sending.WaitAsync(Patience));
        network.Resume();
        await publisher.PublishAsync(queue.Message(Guid.NewGuid()), CancellationToken.None).WaitAsync(Patience);
    }

    [Fact]
    public async Task Broker_that_is_not_there_fails_each_publish_and_the_next_one_too()
    {
        // Port 9 is "discard", which nothing listens to here.
        await using var publisher = new ConfirmedPublisher(new Uri("amqp://a:b@127.0.0.1:9/"), "nobody");
        var message = new WireMessage("x", "", Guid.NewGuid(), "{}"u8.ToArray(), Mandatory: true);

        for (var i = 0; i < 3; i++)
            await Should.ThrowAsync<PublishFailedException>(() =>
                publisher.PublishAsync(message, CancellationToken.None)
            );
    }

    /// <summary>Waits until a counter that went up goes up no more: a second long, in twenty looks.</summary>
    private static async Task StandsStillAsync(Func<int> counter)
    {
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var (seen, still) = (0, 0); still < 20; still = seen > 0 && seen == counter() ? still + 1 : 0)
        {
            seen = counter();
            await look.WaitForNextTickAsync();
        }
    }

    private static ConfirmedPublisher Publisher(string name) => new(Servers.Broker, name);

    /// <returns>How many connections of that client the broker has closed.</returns>
    private static async Task<int> CloseConnectionsAsync(string clientName)
    {
        using var management = new BrokerManagement();
        for (var i = 0; i < 300; i++)
        {
            using var all = JsonDocument.Parse(await management.GetAsync("/api/connections"));
            var mine = all
                .RootElement.EnumerateArray()
                .Where(x =>
                    x.TryGetProperty("client_properties", out var client)
                    && client.TryGetProperty("connection_name", out var name)
                    && name.GetString() == clientName
                )
                .Select(x => x.GetProperty("name").GetString() ?? "")
                .ToList();
            foreach (var name in mine)
                await management.CloseConnectionAsync(name);
            if (mine.Count > 0)
                return mine.Count;
            await Task.Delay(100); // The broker lists a new connection after a moment.
        }

        throw new TimeoutException($"The broker lists no connection of {clientName}.");
    }
}
