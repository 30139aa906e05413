using System.Text.Json.Nodes;

namespace Pipeline.Bench;

/// <summary>The table for people, and as the last line one JSON object for programs.</summary>
internal static class BenchReport
{
    public static async Task WriteAsync(
        TextWriter output,
        BenchPlan plan,
        Pair main,
        IReadOnlyList<Pair> others,
        Checks checks
    )
    {
        var figures = new List<Figure>(FiguresOf(plan, main));
        foreach (var pair in others)
        {
            var (lanes, processes) = (Count(pair.Shape.Lanes, "lane"), Count(pair.Shape.Processes, "worker"));
            var key = pair.Shape.Name.Replace(' ', '_');
            figures.Add(
                new Figure($"drain, {lanes} on {processes} (/s)", $"{key}_drain_per_s", "_per_s", 0, x => x.Drain, pair)
            );
        }

        await output.WriteLineAsync(
            $"""
            {plan.Commands:N0} commands of 1 KiB a round, {plan.Projects} projects × {plan.Scenes} scenes, two processes and eight lanes each, rounds: {plan.Rounds}, receipts before: {plan.Receipts:N0}, seed: {plan.Seed}

            | median of the rounds | pipeline | min..max | floor | min..max | ratio |
            |---|--:|--:|--:|--:|--:|
            """
        );
        foreach (var figure in figures)
            await output.WriteLineAsync(figure.Row);
        await output.WriteLineAsync(
            $"""
            | receipts | {checks.Receipts:N0} | | none | | |
            | lost, applied twice, out of order | {checks.Lost}, {checks.Duplicates}, {checks.Inversions} | | not checked | | |

            """
        );

        var json = new JsonObject();
        foreach (var figure in figures)
            figure.AddTo(json);
        json["lost"] = checks.Lost;
        json["duplicates"] = checks.Duplicates;
        json["inversions"] = checks.Inversions;
        json["receipts"] = checks.Receipts;
        json["seed"] = plan.Seed;
        json["rounds"] = plan.Rounds;
        json["commands"] = plan.Commands;
        await output.WriteLineAsync(json.ToJsonString());
    }

    private static IEnumerable<Figure> FiguresOf(BenchPlan plan, Pair pair)
    {
        yield return new Figure("enqueue, nobody consuming (/s)", "enqueue_per_s", "_per_s", 0, x => [x.Enqueue], pair);
        yield return new Figure("**drain from a full queue** (/s)", "drain_per_s", "_per_s", 0, x => x.Drain, pair);
        yield return new Figure("both at once (/s)", "both_per_s", "_per_s", 0, x => x.Both, pair);
        yield return new Figure(
            "start of the processes to an empty queue (s)",
            "cold_s",
            "_s",
            1,
            x => [x.ColdSeconds],
            pair
        );
        foreach (var share in (int[])[50, 95, 99])
        {
            yield return new Figure(
                $"publish → committed at {plan.Rate}/s, p{share} (ms)",
                $"p{share}_ms",
                "_ms",
                1,
                x => [x.Percentile(share / 100.0)],
                pair
            );
        }

        (string Whose, string Key, Func<CpuTime, double> Part)[] cpu =
        [
            ("processes", "workers", x => x.Processes),
            ("broker", "broker", x => x.Broker),
            ("database", "database", x => x.Database),
        ];
        foreach (var (whose, key, part) in cpu)
        {
            yield return new Figure(
                $"CPU of the {whose} (ms a command)",
                $"cpu_ms_{key}",
                "_ms",
                3,
                x => [.. x.Cpu.Select(part)],
                pair
            );
        }
    }

    private static string Count(int number, string what) => number == 1 ? $"1 {what}" : $"{number} {what}s";

    /// <summary>One row of the table, and its keys in the JSON object.</summary>
    /// <param name="Name">In the table.</param>
    /// <param name="Key">In the JSON object; the floor's begins with <c>floor_</c>.</param>
    /// <param name="Unit">The part of the key that a ratio does not have.</param>
    /// <param name="Digits">Behind the decimal point, in the table; one more in the JSON object.</param>
    /// <param name="Rounds">The figure of each round, of either contender.</param>
    /// <param name="Pair">Whose.</param>
    private sealed record Figure(
        string Name,
        string Key,
        string Unit,
        int Digits,
        Func<Measured, IReadOnlyList<double>> Rounds,
        Pair Pair
    )
    {
        private IReadOnlyList<double> Ours => Rounds(Pair.Ours);

        private IReadOnlyList<double> Floor => Rounds(Pair.Floor);

        private double Ratio => Measured.Median(Ours) / Measured.Median(Floor);

        public string Row =>
            $"| {Name} | {Text(Measured.Median(Ours))} | {Spread(Ours)} | {Text(Measured.Median(Floor))} | {Spread(Floor)} | {Ratio:F2} |";

        public void AddTo(JsonObject json)
        {
            Add(Key, Ours);
            Add($"floor_{Key}", Floor);
            json[$"{Key.Replace(Unit, "", StringComparison.Ordinal)}_ratio"] = Math.Round(Ratio, 2);

            void Add(string key, IReadOnlyList<double> rounds)
            {
                json[key] = Rounded(Measured.Median(rounds));
                if (rounds.Count == 1)
                    return;
                json[$"{key}_min"] = Rounded(rounds.Min());
                json[$"{key}_max"] = Rounded(rounds.Max());
            }
        }

        private string Spread(IReadOnlyList<double> rounds) =>
            rounds.Count == 1 ? "" : $"{Text(rounds.Min())}..{Text(rounds.Max())}";

        private string Text(double figure) => figure.ToString($"N{Digits}");

        private double Rounded(double figure) => Math.Round(figure, Digits == 0 ? 0 : Digits + 1);
    }
}
