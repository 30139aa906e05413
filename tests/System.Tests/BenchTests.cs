using System.Diagnostics;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>
/// <c>eng/bench</c> as a person runs it, with so few commands that its figures say nothing. Its servers are its own, and so
/// is what it leaves there for the next run.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class BenchTests(ITestOutputHelper output)
{
    private const int Commands = 500;

    [Fact]
    public async Task The_benchmark_measures_every_shape_and_its_checks_hold()
    {
        var start = new ProcessStartInfo(
            Path.Combine(Repository.Root, "eng/bench"),
            ["--quick", "--commands", $"{Commands}", "--no-build"]
        )
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("PIPELINE_PORT_BASE"); // Of the tests' own servers.
        using var bench = Process.Start(start)!;
        var (printed, progress) = (bench.StandardOutput.ReadToEndAsync(), bench.StandardError.ReadToEndAsync());
        await bench.WaitForExitAsync();
        output.WriteLine(await progress);
        output.WriteLine(await printed);
        bench.ExitCode.ShouldBe(0);

        var report = JsonElement.Parse((await printed).TrimEnd().Split('\n')[^1]);
        long Count(string key) => report.GetProperty(key).GetInt64();
        Count("lost").ShouldBe(0);
        Count("duplicates").ShouldBe(0);
        Count("inversions").ShouldBe(0);
        // Cold start, drain, both at once and latency with two workers; cold start and drain in the two other shapes.
        Count("receipts").ShouldBe(Commands * (4 + (2 * 2)));
        string[] drains = ["drain_per_s", "one_lane_drain_per_s", "one_worker_drain_per_s"];
        foreach (var drain in drains.SelectMany(x => new[] { x, $"floor_{x}" }))
            report.GetProperty(drain).GetDouble().ShouldBeGreaterThan(0, drain);
    }
}
