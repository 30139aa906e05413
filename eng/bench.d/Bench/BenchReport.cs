using System.Text.Json.Nodes;

namespace Pipeline.Bench;

/// <summary>The table for people, and as the last line one JSON object for programs.</summary>
internal static class BenchReport
{
    public static async Task WriteAsync(TextWriter output, BenchPlan plan, Measured ours, Measured floor, Checks checks)
    {
        var (drain, floorDrain) = (Measured.Median(ours.Drain), Measured.Median(floor.Drain));
        var (both, floorBoth) = (Measured.Median(ours.Both), Measured.Median(floor.Both));
        var (cpu, floorCpu) = (ours.CpuOfCommand, floor.CpuOfCommand);

        await output.WriteLineAsync(
            $"""
            {plan.Commands:N0} commands of 1 KiB a round, {plan.Projects} projects × {plan.Scenes} scenes, two processes each, rounds: {plan.Rounds}, seed: {plan.Seed}

            | | pipeline | floor | ratio |
            |---|--:|--:|--:|
            | enqueue, nobody consuming (/s) | {ours.Enqueue:N0} | {floor.Enqueue:N0} | {ours.Enqueue / floor.Enqueue:F2} |
            | **drain from a full queue** (/s, median) | **{drain:N0}** | {floorDrain:N0} | **{drain / floorDrain:F2}** |
            | each round (/s) | {Each(ours.Drain)} | {Each(floor.Drain)} | |
            | both at once (/s, median) | {both:N0} | {floorBoth:N0} | {both / floorBoth:F2} |
            | start of the processes to an empty queue (s) | {ours.ColdSeconds:F1} | {floor.ColdSeconds:F1} | {ours.ColdSeconds
                / floor.ColdSeconds:F2} |
            """
        );
        foreach (var share in (double[])[0.5, 0.95, 0.99])
        {
            var (mine, other) = (ours.Percentile(share), floor.Percentile(share));
            await output.WriteLineAsync(
                $"| publish → committed at {plan.Rate}/s, p{share * 100:F0} (ms) | {mine:F1} | {other:F1} | {mine / other:F2} |"
            );
        }

        await output.WriteLineAsync(
            $"""
            | CPU of the processes (ms a command) | {cpu.Processes:F3} | {floorCpu.Processes:F3} | {cpu.Processes
                / floorCpu.Processes:F2} |
            | CPU of the broker (ms a command) | {cpu.Broker:F3} | {floorCpu.Broker:F3} | {cpu.Broker
                / floorCpu.Broker:F2} |
            | CPU of the database (ms a command) | {cpu.Database:F3} | {floorCpu.Database:F3} | {cpu.Database
                / floorCpu.Database:F2} |
            | receipts | {checks.Receipts:N0} | none | |
            | lost, applied twice, out of order | {checks.Lost}, {checks.Duplicates}, {checks.Inversions} | not checked | |

            """
        );
        await output.WriteLineAsync(
            new JsonObject
            {
                ["drain_per_s"] = Math.Round(drain),
                ["floor_drain_per_s"] = Math.Round(floorDrain),
                ["drain_ratio"] = Math.Round(drain / floorDrain, 2),
                ["enqueue_per_s"] = Math.Round(ours.Enqueue),
                ["floor_enqueue_per_s"] = Math.Round(floor.Enqueue),
                ["both_per_s"] = Math.Round(both),
                ["floor_both_per_s"] = Math.Round(floorBoth),
                ["cold_s"] = Math.Round(ours.ColdSeconds, 2),
                ["floor_cold_s"] = Math.Round(floor.ColdSeconds, 2),
                ["p50_ms"] = Math.Round(ours.Percentile(0.5), 2),
                ["p95_ms"] = Math.Round(ours.Percentile(0.95), 2),
                ["p99_ms"] = Math.Round(ours.Percentile(0.99), 2),
                ["floor_p50_ms"] = Math.Round(floor.Percentile(0.5), 2),
                ["floor_p99_ms"] = Math.Round(floor.Percentile(0.99), 2),
                ["lost"] = checks.Lost,
                ["duplicates"] = checks.Duplicates,
                ["inversions"] = checks.Inversions,
                ["receipts"] = checks.Receipts,
                ["seed"] = plan.Seed,
                ["rounds"] = plan.Rounds,
                ["cpu_ms_workers"] = Math.Round(cpu.Processes, 3),
                ["cpu_ms_broker"] = Math.Round(cpu.Broker, 3),
                ["cpu_ms_database"] = Math.Round(cpu.Database, 3),
                ["floor_cpu_ms_workers"] = Math.Round(floorCpu.Processes, 3),
                ["floor_cpu_ms_broker"] = Math.Round(floorCpu.Broker, 3),
                ["floor_cpu_ms_database"] = Math.Round(floorCpu.Database, 3),
            }.ToJsonString()
        );
    }

    private static string Each(IEnumerable<double> figures) => string.Join(" · ", figures.Select(x => $"{x:N0}"));
}
