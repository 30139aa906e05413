using System.CommandLine;
using Pipeline.SystemTests.Harness;

namespace Pipeline.SystemTests.Fire;

/// <summary>What <c>eng/fire</c> starts: the tests' assembly as a program, which makes the run of OrderUnderFireTests many times.</summary>
internal static class FireProgram
{
    public static Task<int> Main(string[] arguments)
    {
        var runs = new Option<int>("--runs") { Description = "How many.", DefaultValueFactory = _ => 1 };
        var busy = new Option<int>("--busy") { Description = "Busy processes for each processor core." };
        var commands = new Option<int>("--commands")
        {
            Description = "Commands of a run.",
            DefaultValueFactory = _ => 20_000,
        };
        var seed = new Option<int?>("--seed") { Description = "Of the first run; the next has the next number." };
        var fire = new RootCommand("Applies commands under fire, and prints one JSON object.")
        {
            runs,
            busy,
            commands,
            seed,
        };
        fire.SetAction(
            (parsed, cancellation) =>
            {
                var first = new FirePlan(
                    parsed.GetValue(seed) ?? Random.Shared.Next(1_000_000),
                    parsed.GetValue(commands),
                    parsed.GetValue(busy)
                );
                return RunAsync(first, parsed.GetValue(runs), cancellation);
            }
        );
        // A run that is asked to end kills its workers and drops its database first.
        var ending = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) };
        return fire.Parse(arguments).InvokeAsync(ending);
    }

    private static async Task<int> RunAsync(FirePlan first, int runs, CancellationToken cancellation)
    {
        var total = new FireResult();
        for (var run = 0; run < runs; run++)
        {
            await Console.Error.WriteLineAsync($"fire: run {run + 1} of {runs}");
            total += await RunOnceAsync(first with { Seed = first.Seed + run }, cancellation);
        }

        var json = total.ToJson();
        (json["commands"], json["busy"], json["seed"]) = (first.Commands, first.BusyPerCore, first.Seed);
        await Console.Out.WriteLineAsync(json.ToJsonString());
        return total.IsClean ? 0 : 1;
    }

    private static async Task<FireResult> RunOnceAsync(FirePlan plan, CancellationToken cancellation)
    {
        var stack = new MigratedStack();
        try
        {
            await stack.InitializeAsync();
            var run = new FireRun(stack, plan, x => Console.Error.WriteLine($"fire: {x}"), cancellation);
            return await run.RunAsync();
        }
        finally
        {
            await stack.DisposeAsync();
        }
    }
}
