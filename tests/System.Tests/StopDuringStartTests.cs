using Pipeline.SystemTests.Harness;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// A worker may be told to stop while it still starts: a deployment is taken back, a scaler changes its mind. Its
/// libraries are opening connections at that moment and fail in many ways; the worker ends with success all the same.
/// </summary>
public sealed class StopDuringStartTests(ITestOutputHelper output) : Stack
{
    private const int Moments = 8;

    [Fact]
    public async Task Worker_that_is_told_to_stop_at_any_moment_of_its_start_ends_with_success()
    {
        var lines = await LinesOfAStartAsync();
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}, a start logs {lines} lines");
        var random = new Random(seed);

        for (var moment = 0; moment < Moments; moment++)
        {
            var line = 1 + random.Next(lines);
            output.WriteLine($"stopped at line {line}");
            await using var worker = HostedWorker.StartAndStopAt(line, Settings);
            await worker.EndAsync();
        }
    }

    private async Task<int> LinesOfAStartAsync()
    {
        await using var worker = HostedWorker.StartAndStopAt(int.MaxValue, Settings);
        await UntilAsync(
            "the worker holds the lanes",
            async () => await ScalarAsync<bool>("select coalesce(bool_and(held), false) from status.lanes")
        );
        return worker.LineCount;
    }
}
