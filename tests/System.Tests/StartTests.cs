using Npgsql;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A worker that comes up before its servers, or in the middle of their restart.</summary>
public sealed class StartTests : Stack
{
    [Fact]
    public async Task Worker_that_starts_while_the_database_refuses_everybody_waits_and_then_works()
    {
        await LimitConnectionsAsync(0);
        var worker = StartWorker("early");
        await UntilAsync(
            "the worker says that it waits",
            () =>
                Task.FromResult(
                    worker.Log.Contains("Waiting for a server: PostgresException", StringComparison.Ordinal)
                )
        );

        await LimitConnectionsAsync(-1);
        await UntilAsync(
            "the worker holds the lanes",
            async () => await ScalarAsync<long>("select count(*) from status.lanes where held") == 8
        );
        worker.HasExited.ShouldBeFalse();
    }

    [Fact]
    public async Task Worker_without_patience_says_in_one_line_why_it_does_not_start()
    {
        var nowhere = new UriBuilder(Broker) { Port = 9 }.Uri.ToString();
        var worker = StartWorker(
            "alone",
            ("ConnectionStrings__RabbitMq", nowhere),
            ("Worker__StartPatience", "00:00:00")
        );
        await UntilAsync("the worker gave up", () => Task.FromResult(worker.HasExited));
        worker.ExitCode.ShouldBe(1);
        worker.Log.ShouldStartWith("BrokerUnreachableException: ");
        worker.Log.Split('\n').Length.ShouldBe(1, worker.Log);
    }

    [Fact]
    public async Task Worker_whose_password_is_refused_does_not_wait()
    {
        var stranger = new UriBuilder(Broker) { Password = "wrong" }.Uri.ToString();
        var worker = StartWorker("stranger", ("ConnectionStrings__RabbitMq", stranger));
        await UntilAsync("the worker gave up", () => Task.FromResult(worker.HasExited));
        worker.ExitCode.ShouldBe(1);
        worker.Log.ShouldNotContain("Waiting for a server");
    }

    /// <summary>To the pipeline's role, which is no superuser, this is a server that has no connection to give.</summary>
    private async Task LimitConnectionsAsync(int limit)
    {
        var database = new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"]).Database;
        await using var admin = NpgsqlDataSource.Create(Required("ConnectionStrings__Postgres"));
        await using var alter = admin.CreateCommand($"alter database {database} connection limit {limit}");
        await alter.ExecuteNonQueryAsync();
    }
}
