using System.CommandLine;
using Pipeline.Bench;
using Pipeline.Bench.Floor;

var workers = new Option<string>("--workers-dll") { Description = "Pipeline.Workers.dll to measure.", Required = true };
var log = new Option<string>("--log") { Description = "Folder for the processes' logs.", Required = true };
var seed = new Option<int?>("--seed") { Description = "Of the random projects; random when left out." };
var rounds = new Option<int?>("--rounds") { Description = "Rounds of each, taken in turn; the median counts." };
var quick = new Option<bool>("--quick") { Description = "One round of 10,000 commands, 10 s at the fixed rate." };

var run = new Command("run", "Measure, print the table and the JSON line.") { workers, log, seed, rounds, quick };
run.SetAction(
    (arguments, cancellation) =>
    {
        var plan = BenchPlan.Of(
            arguments.GetValue(quick),
            arguments.GetValue(rounds),
            arguments.GetValue(seed) ?? Random.Shared.Next()
        );
        var settings = BenchSettings.Read(arguments.GetValue(workers)!, arguments.GetValue(log)!);
        return BenchRun.RunAsync(plan, settings, cancellation);
    }
);

var part = new Argument<int>("part") { Description = "Which half of the queues: 0 or 1." };
var commits = new Argument<string>("commits") { Description = "File for the time of each commit." };
var floor = new Command("floor", "One process of the floor; ends with its standard input.") { part, commits };
floor.SetAction(
    (arguments, cancellation) =>
        FloorProcess.RunAsync(arguments.GetValue(part), arguments.GetValue(commits)!, cancellation)
);

return await new RootCommand("Measures the pipeline beside a floor of bare RabbitMQ.Client and Npgsql.") { run, floor }
    .Parse(args)
    .InvokeAsync();
