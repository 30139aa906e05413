using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>Rescue by liveness: what nobody works on is found, what is old and alive is left alone.</summary>
public sealed class GenerationStaleTests : GenerationStack
{
    private const string Model = "slow";
    private const string Prompt = "A red kite over a harbour";

    protected override IEnumerable<(string Name, string Value)> WorkerSettings => Provider.SettingsOf(Model);

    [Fact]
    public async Task Request_that_nobody_works_on_is_found_and_one_that_is_old_and_alive_is_left_alone()
    {
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Provider.Script(Model, Held(called, released.Task, Picture(width: 1)), Picture(width: 2));
        HostWorker("worker-1", ("Rendering__LeaseLength", "00:00:30"), ("Rendering__ConcurrentRenders", "1"));
        var alive = Request(Model, Prompt);
        await AskAsync(alive);
        await called.Task.WaitAsync(TimeSpan.FromMinutes(2));

        // Another one's message is lost: its row says 'Rendering', and there is no worker and no message behind it.
        var lost = Another(alive) with
        {
            Prompt = "A blue whale",
        };
        await AskAsync(lost);
        await UntilAsync("its message is queued", async () => await MessagesAsync("render-image") == 1);
        await PurgeAsync("render-image");
        await UntilAsync(
            "both are older than what counts as stale",
            async () =>
                await ScalarAsync<bool>(
                    "select now() - max(updated_at) filter (where prompt = $1) > interval '3 seconds' from status.generations",
                    Prompt
                )
        );
        HostWorker("worker-2", ("Generation__StaleAfter", "00:00:01"));
        await UntilEndedAsync(lost);

        (await this.HistoryOfAsync(lost.Prompt)).ShouldBe("Rendering 1, Saving 1, Completed 1");
        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1");
        Provider.CallsOf(Model).Length.ShouldBe(2);
        released.SetResult();
        await UntilEndedAsync(alive);
        (await this.HistoryOfAsync(Prompt)).ShouldBe("Rendering 1, Saving 1, Completed 1");
        (await this.AttemptsOfAsync(Prompt)).ShouldBe("1 succeeded");
        Provider.CallsOf(Model).Length.ShouldBe(2);
    }

    private async Task PurgeAsync(string queue)
    {
        await using var connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        (await channel.QueuePurgeAsync(queue)).ShouldBe(1u);
    }
}
