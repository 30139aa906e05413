using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A worker that comes up before its servers, or whose connections break.</summary>
public sealed class ServersAwayTests : Stack
{
    private const int Lanes = 8;

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
            async () => await ScalarAsync<long>("select count(*) from status.lanes where held") == Lanes
        );
        worker.HasExited.ShouldBeFalse();
    }

    [Fact]
    public async Task Worker_whose_connections_are_closed_again_and_again_consumes_every_lane_in_the_end()
    {
        StartWorker("survivor");
        await UntilAsync("the worker holds the lanes", async () => await ConsumersAsync() == Lanes);
        for (var close = 0; close < 8; close++)
            await UntilAsync("connections to close", async () => await CloseConnectionsAsync() > 0);

        // One that MassTransit has given up is opened anew after ten seconds.
        await UntilAsync("every lane has its consumer", async () => await ConsumersAsync() == Lanes);
        await using var publisher = NewPublisher();
        var boards = Enumerable.Range(0, 200).Select(_ => Commands.Storyboard(Guid.NewGuid(), 1).ToWire()).ToArray();
        await publisher.PublishAllAsync(boards, CancellationToken.None);
        await UntilReceiptsAsync(boards.Length);
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

    /// <summary>How many lanes the broker sees a consumer on.</summary>
    private async Task<int> ConsumersAsync()
    {
        var factory = new ConnectionFactory { Uri = Broker };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var count = 0;
        for (var lane = 0; lane < Lanes; lane++)
            count += (int)await channel.ConsumerCountAsync(WireNames.LaneQueue(lane));
        return count;
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
