using System.CommandLine;
using Pipeline.Bench;
using Pipeline.Bench.Floor;

var workers = new Option<string>("--workers-dll") { Description = "Pipeline.Workers.dll to measure.", Required = true };
var log = new Option<string>("--log") { Description = "Folder for the processes' logs.", Required = true };
var seed = new Option<int?>("--seed") { Description = "Of the random projects; random when left out." };
var rounds = new Option<int?>("--rounds") { Description = "Rounds of each, taken in turn; the median counts." };
var commands = new Option<int?>("--commands") { Description = "Commands of a round; 20,000 when left out." };
var receipts = new Option<int>("--receipts") { Description = "Receipts of earlier commands that are there already." };
var quick = new Option<bool>("--quick") { Description = "One round of 10,000 commands, 10 s at the fixed rate." };

var run = new Command("run", "Measure, print the table and the JSON line.")
{
    workers,
    log,
    seed,
    rounds,
    commands,
    receipts,
    quick,
};
run.SetAction(
    (arguments, cancellation) =>
    {
        var plan = BenchPlan.Of(
            arguments.GetValue(quick),
            arguments.GetValue(commands),
            arguments.GetValue(rounds),
            arguments.GetValue(seed) ?? Random.Shared.Next()
        ) with
        {
            Receipts = arguments.GetValue(receipts),
        };
        var settings = BenchSettings.Read(arguments.GetValue(workers)!, arguments.GetValue(log)!);
        return BenchRun.RunAsync(plan, settings, cancellation);
    }
);

var part = new Argument<int>("part") { Description = "Which of the processes this is, from 0." };
var processes = new Argument<int>("processes") { Description = "How many there are." };
var queues = new Argument<int>("queues") { Description = "How many queues they share." };
var commits = new Argument<string>("commits") { Description = "File for the time of each commit." };
var floor = new Command("floor", "One process of the floor; ends with its standard input.")
{
    part,
    processes,
    queues,
    commits,
};
floor.SetAction(
    (arguments, cancellation) =>
        FloorProcess.RunAsync(
            arguments.GetValue(part),
            new Shape("floor", arguments.GetValue(queues), arguments.GetValue(processes)),
            arguments.GetValue(commits)!,
            cancellation
        )
);

// A run that is asked to end stops its workers first, which finish what they have at hand.
var ending = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) };
return await new RootCommand("Measures the pipeline beside a floor of bare RabbitMQ.Client and Npgsql.") { run, floor }
    .Parse(args)
    .InvokeAsync(ending);
