using System.Text.Json;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>Outgoing webhooks from the operator's verb to a receiver that verifies, through kills on both sides.</summary>
public sealed class WebhookTests(ITestOutputHelper output) : Stack
{
    private const int Pictures = 30;

    private static readonly TimeSpan VerbLimit = TimeSpan.FromMinutes(3);

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ("Webhooks__AllowPrivateNetworks", "true"), // The receiver is on loopback.
            ("Webhooks__AttemptTimeout", "00:00:05"), // A dead worker's turn ends after twice that.
            ("Webhooks__RetryDelays", string.Join(',', Enumerable.Repeat("00:00:01", 50))),
            ("Webhooks__SweepEvery", "00:00:00.1"),
        ];

    [Fact]
    public async Task Every_event_arrives_verified_though_the_receiver_fails_first_and_is_killed_in_between()
    {
        const int FailFirst = 3;
        var worker = StartWorker("worker");
        await using var receiver = new WebhookReceiver(x => Task.FromResult(x <= FailFirst ? 503 : 204));
        await receiver.StartAsync();
        var project = Guid.NewGuid();
        var subscription = await SubscribeAsync(receiver, project);
        await PlayAsync(project, Pictures);
        await UntilAsync("the first deliveries", () => Task.FromResult(receiver.Answered.Any(x => x.Status == 204)));
        await receiver.KillAsync();
        await PlayAsync(project, Pictures);
        await UntilAsync("an attempt that nobody answers", AnyAsync("last_error is not null and last_status is null"));
        await receiver.StartAsync();

        await UntilAllDeliveredAsync(2 * (Pictures + 1));
        receiver.Forged.ShouldBeEmpty();
        var delivered = await RowsAsync(
            "select message_id::text from status.webhook_deliveries where state = 'delivered'",
            x => x.GetString(0)
        );
        var received = receiver.Answered.Where(x => x.Status == 204).Select(x => x.Id).Distinct(StringComparer.Ordinal);
        received.ShouldBe(delivered, ignoreOrder: true);
        output.WriteLine($"{receiver.Requests} requests for {delivered.Count} events");

        var shown = await VerbAsync("webhooks", "deliveries", subscription, "--limit", "5");
        shown.ShouldContain("delivered");
        (await VerbAsync("webhooks", "list")).ShouldContain(subscription);
        worker.Log.ShouldNotContain(receiver.Secret["whsec_".Length..]);
    }

    [Fact]
    public async Task Delivery_of_a_worker_that_is_killed_in_the_middle_is_made_again_under_the_same_id()
    {
        var answers = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = new WebhookReceiver(async _ =>
        {
            await answers.Task;
            return 200;
        });
        await receiver.StartAsync();
        var first = StartWorker("first");
        var project = Guid.NewGuid();
        await SubscribeAsync(receiver, project);
        await PlayAsync(project, Pictures);
        await UntilAsync("a delivery under way", () => Task.FromResult(receiver.Requests > 0));

        await first.KillAsync();
        answers.SetResult();
        HostWorker("second");

        await UntilAllDeliveredAsync(Pictures + 1);
        receiver.Forged.ShouldBeEmpty();
        // The one that was under way was begun twice, once by each worker; nothing is lost and nothing has another id.
        (await ScalarAsync<int>("select max(attempts) from status.webhook_deliveries")).ShouldBeGreaterThan(1);
        var received = receiver.Answered.Select(x => x.Id).Distinct(StringComparer.Ordinal);
        received.ShouldBe(
            await RowsAsync("select message_id::text from status.webhook_deliveries", x => x.GetString(0)),
            ignoreOrder: true
        );
    }

    /// <summary>As an operator does it: the verb prints the secret, and the receiver verifies with it.</summary>
    private async Task<string> SubscribeAsync(WebhookReceiver receiver, Guid project)
    {
        var printed = await VerbAsync(
            "webhooks",
            "add",
            receiver.Url.ToString(),
            "--project",
            project.ToString(),
            "--event",
            "scenes-defined",
            "--event",
            "image-saved",
            "--json"
        );
        var json = JsonElement.Parse(printed.Split('\n').First(x => x.StartsWith('{')));
        receiver.Secret = json.GetProperty("secret").GetString()!;
        return json.GetProperty("subscriptionId").GetString()!;
    }

    private async Task PlayAsync(Guid project, int pictures)
    {
        await using var publisher = NewPublisher();
        var saves = Enumerable.Range(0, pictures).Select(x => Commands.Save(project, scene: 1, slot: x)).ToArray();
        await PlantObjectsAsync([.. saves.Select(x => x.ObjectKey)]);
        await publisher.PublishAsync(Commands.Storyboard(project, 1).ToWire(), CancellationToken.None);
        await publisher.PublishAllAsync(saves.Select(x => x.ToWire()), CancellationToken.None);
    }

    private Task UntilAllDeliveredAsync(int count) =>
        UntilAsync(
            $"{count} delivered",
            async () =>
                await ScalarAsync<long>("select count(*) from status.webhook_deliveries where state = 'delivered'")
                == count
        );

    private Func<Task<bool>> AnyAsync(string condition) =>
        () => ScalarAsync<bool>($"select exists (select from status.webhook_deliveries where {condition})");

    private async Task<string> VerbAsync(params string[] args)
    {
        var status = new NpgsqlConnectionStringBuilder(Required("ConnectionStrings__Status"))
        {
            Database = new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"]).Database,
        };
        var run = await ForeignProgram.RunAsync(
            ["dotnet", Programs.Publisher, .. args],
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["Publisher__RabbitMq"] = Broker.ToString(),
                ["ConnectionStrings__Status"] = status.ConnectionString,
            },
            VerbLimit
        );
        run.ExitCode.ShouldBe(0, run.Output);
        return run.Output;
    }
}
