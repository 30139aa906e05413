using Npgsql;

namespace Pipeline.Bench;

/// <summary>How much is measured.</summary>
/// <param name="Projects">Projects of a round.</param>
/// <param name="Scenes">Scenes of each project.</param>
/// <param name="Commands">Commands of a round.</param>
/// <param name="Rounds">Rounds of each contender, in turn.</param>
/// <param name="Rate">Commands per second where latency is measured.</param>
/// <param name="LatencySeconds">For how long.</param>
/// <param name="Seed">Decides ids and projects.</param>
internal sealed record BenchPlan(
    int Projects,
    int Scenes,
    int Commands,
    int Rounds,
    int Rate,
    int LatencySeconds,
    int Seed
)
{
    public static BenchPlan Of(bool quick, int? rounds, int seed) =>
        quick
            ? new BenchPlan(100, 20, 10_000, rounds ?? 1, 200, 10, seed)
            : new BenchPlan(100, 20, 20_000, rounds ?? 3, 200, 30, seed);
}

/// <summary>Where the servers and the programs are; the servers' part is what <c>eng/services env bench</c> prints.</summary>
internal sealed record BenchSettings(
    Uri Broker,
    string Database,
    int BrokerPid,
    int DatabasePid,
    string WorkersDll,
    string LogFolder
)
{
    public static Uri ReadBroker() => new(Require("ConnectionStrings__RabbitMq"));

    public static string ReadDatabase() =>
        new NpgsqlConnectionStringBuilder(Require("ConnectionStrings__Postgres"))
        {
            ApplicationName = "pipeline-bench",
            MaxAutoPrepare = 32,
        }.ConnectionString;

    public static BenchSettings Read(string workersDll, string logFolder) =>
        new(
            ReadBroker(),
            ReadDatabase(),
            int.Parse(Require("PIPELINE_PIDS_RABBITMQ")),
            int.Parse(Require("PIPELINE_PIDS_POSTGRES")),
            workersDll,
            logFolder
        );

    private static string Require(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value
            ? value
            : throw new InvalidOperationException($"{variable} is not set: use eng/bench.");
}
