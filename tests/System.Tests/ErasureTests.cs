using System.Text.Json;
using Npgsql;
using Pipeline.Contracts.Deleting;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Deleted means gone: a text that a project has left everywhere is nowhere once it is erased.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class ErasureTests : ErasureStack
{
    [Fact]
    public async Task Canary_that_was_planted_everywhere_is_nowhere_after_the_erasure()
    {
        var worker = StartWorker("worker");
        await using var listener = await RawClient.ConnectAsync(Broker);
        var events = await listener.ListenAsync("project-erased", $"{Project}");
        await PlantAsync();
        var planted = await Canary.FindAsync(this, Bucket);
        foreach (var location in Expected)
            planted.ShouldContain(x => x.StartsWith(location, StringComparison.Ordinal), location);

        var erased = await VerbRun.RunAsync(this, "erase-project", $"{Project}", "--yes");
        erased.ExitCode.ShouldBe(0, erased.Error);
        await UntilErasedAsync();

        (await Canary.FindAsync(this, Bucket)).ShouldBeEmpty();
        worker.Log.ShouldNotContain(Canary.Text, Case.Insensitive);
        (await Bucket.KeysAsync()).ShouldBeEmpty();
        Cdn.Told.ShouldNotBeEmpty();
        await ShouldHaveLeftTheOtherProjectAsync();

        // The event says what the row says; receipts still say how each command ended.
        await UntilAsync("the event", async () => await MessagesAsync(events) == 1);
        var told = JsonElement.Parse((await listener.GetAsync(events))!.Body.Span).GetProperty("locations");
        var counts = told.EnumerateArray()
            .ToDictionary(
                x => x.GetProperty("location").GetString()!,
                x => x.GetProperty("count").GetInt64(),
                StringComparer.Ordinal
            );
        string[] found =
        [
            "receipts",
            "receipt-conflicts",
            "scenes",
            "objects",
            "cdn-copies",
            "generations",
            "webhook-deliveries",
            "urls",
            "uploads",
            "dead-letter-actions",
            "dead-letters: generate-image_error",
            "dead-letters: render-image_error",
            "dead-letters: import-image_skipped",
            "dead-letters: generate-image_parked",
        ];
        foreach (var location in found)
            counts.ShouldContainKey(location);
        foreach (var location in found)
            counts[location].ShouldBeGreaterThan(0, location);
        (
            await ScalarAsync<long>(
                "select count(distinct outcome) from status.receipts where project_id = $1",
                Project
            )
        ).ShouldBeGreaterThan(2);
    }

    [Theory]
    [InlineData("receipts")] // Nothing is erased yet.
    [InlineData("scenes")] // Some of it is.
    [InlineData("erasure_counts")] // The end is about to be written.
    public async Task Worker_that_is_killed_in_the_middle_is_succeeded_by_one_that_erases_the_rest(string table)
    {
        var victim = StartWorker("victim");
        await PlantAsync();
        await using var connection = await Database.OpenConnectionAsync();
        await using var held = await connection.BeginTransactionAsync();
        var erase = new EraseProject(Guid.NewGuid(), Project);
        await SendAsync(WireMessage.Command(erase));
        await UntilAsync("the receipt", async () => await OutcomeAsync(erase.CommandId) == "applied");
        await using (var hold = new NpgsqlCommand($"lock table pipeline.{table} in exclusive mode", connection))
            await hold.ExecuteNonQueryAsync();
        await UntilAsync(
            "the erasure waits",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from pg_locks where not granted and relation = $1::text::regclass",
                    $"pipeline.{table}"
                ) > 0
        );

        await victim.KillAsync();
        await held.RollbackAsync();
        // A dead worker's claim ends by itself; the test does not wait for that.
        await this.ExecuteAsync("update pipeline.erasures set due_at = now() where ended_at is null");
        HostWorker("successor");

        await UntilErasedAsync();
        (await Canary.FindAsync(this, Bucket)).ShouldBeEmpty();
        await ShouldHaveLeftTheOtherProjectAsync();
    }

    [Fact]
    public async Task Dead_letters_that_a_person_has_in_hand_are_waited_for()
    {
        HostWorker("worker");
        await PlantAsync();
        await using (var connection = await new ConnectionFactory { Uri = Broker }.CreateConnectionAsync())
        {
            await using var channel = await connection.CreateChannelAsync();
            await channel.QueueDeclareAsync(WireNames.DeadLetterLock("generate-image_error"), false, true, true);
            await SendAsync(WireMessage.Command(new EraseProject(Guid.NewGuid(), Project)));
            await UntilAsync(
                "it says what it waits for",
                async () =>
                    await ScalarAsync<long>(
                        "select count(*) from status.erasures where waits_for like '%generate-image_error in hand%'"
                    ) == 1
            );
        }

        await UntilErasedAsync();
        (await Canary.FindAsync(this, Bucket)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Project_that_is_to_be_erased_cannot_be_restored_and_is_erased_once()
    {
        HostWorker("worker");
        var (project, image) = await ShownAsync("kite");
        Store.Fate = call => Task.FromResult(call.Kind == "list" ? S3Fate.Break : S3Fate.Pass); // The purge hangs.
        var erase = new EraseProject(Guid.NewGuid(), project);
        var again = erase with { CommandId = Guid.NewGuid() };
        var restore = new RestoreProject(Guid.NewGuid(), project);
        await SendAsync(WireMessage.Command(erase), WireMessage.Command(again), WireMessage.Command(restore));

        await UntilAsync("the answers", async () => await OutcomeAsync(restore.CommandId) == "superseded");
        (await OutcomeAsync(again.CommandId)).ShouldBe("unchanged");
        (await StateAsync(image)).ShouldBe("deleted");
        Store.Fate = _ => Task.FromResult(S3Fate.Pass);
        await UntilErasedAsync();
        (await ScalarAsync<long>("select count(*) from status.erasures")).ShouldBe(1);
    }

    // Where a search before the erasure has to find it, or the search afterwards would prove nothing.
    private static string[] Expected =>
        [
            "table pipeline.generation_requests",
            "table pipeline.generation_attempts",
            "table pipeline.receipts",
            "table pipeline.receipt_conflicts",
            "table pipeline.scenes",
            "table pipeline.images",
            "table pipeline.webhook_deliveries",
            "table pipeline.dead_letter_actions",
            "queue generate-image_error",
            "queue generate-image_parked",
            "queue import-image_skipped",
            "queue render-image_error",
            "queue project-lane-",
            "object generated/",
            "object projects/",
            "object uploads/",
        ];

    private Task UntilErasedAsync() =>
        UntilAsync(
            "the project is erased",
            async () => await ScalarAsync<long>("select count(*) from status.erasures where state = 'Erased'") == 1
        );

    /// <summary>Its dead letters lay before and behind those that went, and its receipts say what they said.</summary>
    private async Task ShouldHaveLeftTheOtherProjectAsync()
    {
        (await MessagesAsync("generate-image_error")).ShouldBe(2u);
        (await this.LaneLettersAsync()).ShouldBe(2);
        (
            await ScalarAsync<long>(
                "select count(*) from status.receipts where project_id = $1 and reason like '%is required%'",
                Other
            )
        ).ShouldBe(4);
    }
}
