using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests;

/// <summary>A provider that takes nothing now, and workers that have other work.</summary>
public sealed class GenerationGateTests : GenerationStack
{
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [.. Provider.SettingsOf("gated"), .. Provider.SettingsOf("open")];

    [Fact]
    public async Task Closed_gate_holds_no_slot_of_any_worker_and_spends_no_attempt()
    {
        const int Waiting = 20;
        const string Untouched = """
            select count(*) from status.generations g where model = 'gated' and state = 'Requested' and attempt = 1
                and lease_until is null
                and not exists (select from status.generation_attempts a where a.generation_id = g.id)
            """;
        Provider.Script("gated", Error(429, null, "Retry-After", "3600"));
        Provider.Script("open", Picture());
        HostWorker("worker-1", ("Rendering__ConcurrentRenders", "1"));
        HostWorker("worker-2", ("Rendering__ConcurrentRenders", "1"));
        var gated = Enumerable.Range(0, Waiting).Select(x => Request("gated", $"{x}")).ToArray();
        var other = Request("open", "other");

        await AskAsync(gated);
        await UntilAsync("all wait", async () => await ScalarAsync<long>(Untouched) == Waiting);
        await AskAsync(other);
        await UntilEndedAsync(other);

        (await ScalarAsync<long>(Untouched)).ShouldBe(Waiting);
        var refused = Provider.CallsOf("gated").Length;
        refused.ShouldBeInRange(1, 2); // Both workers may have asked before one has closed the gate.

        Provider.Script("gated", Picture());
        await ExecuteAsync("delete from pipeline.provider_gates");
        await ExecuteAsync("update pipeline.generation_requests set due_at = now() where current_state = 'Requested'");
        await UntilEndedAsync(gated);
        Provider.CallsOf("gated").Length.ShouldBe(refused + Waiting);
        (await ScalarAsync<long>("select count(*) from status.generations where attempt > 1")).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.images where state = 'shown'")).ShouldBe(Waiting + 1);
    }
}
