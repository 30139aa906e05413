using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Work queues that lose their consumer while the broker is there.</summary>
public sealed class ConsumerGuardTests : Stack
{
    private const string Queue = "render-image";
    private const string Repair = $"Queue {Queue} has no consumer here, though the broker answers";

    private Uri _login = null!;

    protected override async Task<Uri> WorkersLoginAsync() => _login = await CreateUserAsync("workers");

    [Fact]
    public async Task Worker_whose_connections_are_closed_again_and_again_consumes_every_work_queue_in_the_end()
    {
        var worker = StartWorker("survivor");
        await UntilAsync("every work queue has its consumer", async () => (await WithoutConsumerAsync()).Count == 0);
        for (var close = 0; close < 8; close++)
            await UntilAsync("connections to close", async () => await CloseConnectionsAsync() > 0);

        await UntilAsync("every work queue has its consumer", async () => (await WithoutConsumerAsync()).Count == 0);
        worker.HasExited.ShouldBeFalse(worker.Tail);
    }

    /// <summary>MassTransit gives an endpoint up for good when the broker refuses its consumer.</summary>
    [Fact]
    public async Task Consumer_that_the_broker_has_refused_for_a_while_is_started_anew()
    {
        var worker = StartWorker("refused");
        await UntilAsync("the queue has its consumer", async () => await ConsumersAsync(Queue) == 1);
        await RefuseAsync(Queue);
        await UntilAsync("connections to close", async () => await CloseConnectionsAsync() > 0);
        await UntilAsync("the guard sees it", () => Task.FromResult(Contains(worker, Repair)));

        await AllowAsync();

        await UntilAsync("the queue has its consumer", async () => await ConsumersAsync(Queue) == 1);
        worker.HasExited.ShouldBeFalse(worker.Tail);
        (await WithoutConsumerAsync()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Worker_that_gets_no_consumer_for_a_queue_ends_and_says_why()
    {
        var worker = StartWorker("refused");
        await UntilAsync("the queue has its consumer", async () => await ConsumersAsync(Queue) == 1);
        await RefuseAsync(Queue);
        await UntilAsync("connections to close", async () => await CloseConnectionsAsync() > 0);

        await UntilAsync("the worker ended", () => Task.FromResult(worker.HasExited));

        worker.ExitCode.ShouldBe(1);
        worker.Log.ShouldContain(Repair);
        worker.Log.ShouldContain($"Queue {Queue} has no consumer here and gets none, though the broker answers");
        worker.Log.ShouldContain($"InvalidOperationException: Queue '{Queue}' has no consumer in this process");
    }

    private static bool Contains(WorkerProcess worker, string text) =>
        worker.Log.Contains(text, StringComparison.Ordinal);

    private Task RefuseAsync(string queue)
    {
        var role = BrokerUser.Of("workers");
        return GrantAsync(role with { Read = role.Read.Replace("(?!", $"(?!{queue}$|", StringComparison.Ordinal) });
    }

    private Task AllowAsync() => GrantAsync(BrokerUser.Of("workers"));

    private async Task GrantAsync(BrokerUser may)
    {
        using var management = new BrokerManagement();
        await management.GrantAsync(Broker.AbsolutePath[1..], _login.UserInfo.Split(':')[0], may);
    }

    /// <summary>Queues, beside those of dead letters and MassTransit's own, on which the broker sees no consumer.</summary>
    private async Task<List<string>> WithoutConsumerAsync()
    {
        var missing = new List<string>();
        foreach (var queue in (await NamesAsync("queues")).Where(x => !x.Contains('_', StringComparison.Ordinal)))
        {
            if (await ConsumersAsync(queue) == 0)
                missing.Add(queue);
        }

        return missing;
    }

    private async Task<uint> ConsumersAsync(string queue)
    {
        await using var connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        return await channel.ConsumerCountAsync(queue);
    }
}
