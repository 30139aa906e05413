using System.Globalization;
using Npgsql;

namespace Pipeline.Bench;

/// <summary>How much is measured.</summary>
/// <param name="Projects">Projects of a round.</param>
/// <param name="Scenes">Scenes of each project.</param>
/// <param name="Commands">Commands of a round.</param>
/// <param name="Rounds">Rounds of each contender, in turn.</param>
/// <param name="Rate">Commands per second where latency is measured.</param>
/// <param name="LatencyCommands">Commands whose latency is measured.</param>
/// <param name="Seed">Decides ids and projects.</param>
internal sealed record BenchPlan(
    int Projects,
    int Scenes,
    int Commands,
    int Rounds,
    int Rate,
    int LatencyCommands,
    int Seed
)
{
    private const int RatePerSecond = 200;

    /// <summary>Receipts of earlier commands, which the pipeline's table holds before the first round.</summary>
    public int Receipts { get; init; }

    /// <param name="quick">One round instead of three, half the commands, a third of the time at the fixed rate.</param>
    /// <param name="commands">Commands of a round; a small number also shortens the time at the fixed rate.</param>
    /// <param name="rounds">Null for the plan's own number.</param>
    /// <param name="seed">Decides ids and projects.</param>
    public static BenchPlan Of(bool quick, int? commands, int? rounds, int seed)
    {
        var size = commands ?? (quick ? 10_000 : 20_000);
        var latency = RatePerSecond * (quick ? 10 : 30);
        return new BenchPlan(100, 20, size, rounds ?? (quick ? 1 : 3), RatePerSecond, Math.Min(latency, size), seed);
    }
}

/// <summary>How many lanes a contender has, and how many processes work them.</summary>
/// <param name="Name">Of the rows in the table; in JSON with underscores.</param>
/// <param name="Lanes">Queues; each is worked by one process at a time.</param>
/// <param name="Processes">Worker processes; the lanes are divided evenly among them.</param>
internal sealed record Shape(string Name, int Lanes, int Processes)
{
    /// <summary>What is measured in full.</summary>
    public static readonly Shape Main = new("two workers", Lanes: 8, Processes: 2);

    /// <summary>Shapes of which only the drain is measured.</summary>
    public static readonly Shape[] Others =
    [
        new("one lane", Lanes: 1, Processes: 1),
        new("one worker", Lanes: 8, Processes: 1),
    ];
}

/// <summary>Where the servers and the programs are; the servers' part is what <c>eng/services env bench</c> prints.</summary>
/// <param name="Broker">Its path is replaced by the virtual host of a <see cref="BenchSite"/>.</param>
/// <param name="Database">Its database is replaced by that of a <see cref="BenchSite"/>.</param>
/// <param name="Management">The broker's management API with its administrator's login.</param>
/// <param name="BrokerPid">RabbitMQ's process.</param>
/// <param name="DatabasePid">PostgreSQL's first process.</param>
/// <param name="WorkersDll">The program to measure.</param>
/// <param name="LogFolder">For the logs of the processes.</param>
internal sealed record BenchSettings(
    Uri Broker,
    string Database,
    Uri Management,
    int BrokerPid,
    int DatabasePid,
    string WorkersDll,
    string LogFolder
)
{
    public const string BrokerVariable = "ConnectionStrings__RabbitMq";

    public const string DatabaseVariable = "ConnectionStrings__Postgres";

    public static Uri ReadBroker() => new(Require(BrokerVariable));

    public static string ReadDatabase() => ForMeasuring(Require(DatabaseVariable));

    /// <summary>The connection string with what this program, and the floor, want of their sessions.</summary>
    public static string ForMeasuring(string connection) =>
        new NpgsqlConnectionStringBuilder(connection)
        {
            ApplicationName = "pipeline-bench",
            MaxAutoPrepare = 32,
            NoResetOnClose = true, // As the workers.
        }.ConnectionString;

    public static BenchSettings Read(string workersDll, string logFolder) =>
        new(
            ReadBroker(),
            Require(DatabaseVariable),
            new UriBuilder(Require("Management__Url"))
            {
                UserName = Require("Management__Username"),
                Password = Require("Management__Password"),
            }.Uri,
            int.Parse(Require("PIPELINE_PIDS_RABBITMQ"), CultureInfo.InvariantCulture),
            int.Parse(Require("PIPELINE_PIDS_POSTGRES"), CultureInfo.InvariantCulture),
            workersDll,
            logFolder
        );

    private static string Require(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value
            ? value
            : throw new InvalidOperationException($"{variable} is not set: use eng/bench.");
}
