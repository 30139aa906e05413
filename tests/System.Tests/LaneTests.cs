using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Who works which lane: spread over the living, taken over from the dead, handed over in order.</summary>
public sealed class LaneTests(ITestOutputHelper output) : Stack
{
    private const int Lanes = 8;

    [Fact]
    public async Task Three_workers_share_eight_lanes_and_a_killed_ones_lanes_are_taken_over()
    {
        var first = StartWorker("worker-1");
        await UntilSharesAsync([Lanes]);
        StartWorker("worker-2");
        var third = StartWorker("worker-3");
        await UntilSharesAsync([3, 3, 2]);

        await first.KillAsync();
        await UntilSharesAsync([4, 4]);
        await third.StopAsync();
        third.ExitCode.ShouldBe(0);
        await UntilSharesAsync([Lanes]);
    }

    private async Task UntilSharesAsync(int[] expected)
    {
        var seen = Array.Empty<int>();
        await UntilAsync(
            $"shares {string.Join('-', expected)}",
            async () =>
            {
                seen = await SharesAsync();
                return seen.SequenceEqual(expected);
            },
            TimeSpan.FromSeconds(60)
        );
        output.WriteLine($"shares {string.Join('-', seen)}");
    }

    private async Task<int[]> SharesAsync() =>
        [
            .. await RowsAsync(
                "select count(*)::int from status.lanes where held group by worker_id order by 1 desc",
                x => x.GetInt32(0)
            ),
        ];
}
