using System.Collections.Concurrent;
using Pipeline.Contracts.Deleting;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Deletions on real processes and a real store: outages, refusals, killed workers.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class DeletionTests : DeletionStack
{
    private const string Deletion = """
        select concat(state, ' ', failures > 1, ' ', failure_reason is not null) from status.deletions where command_id = $1
        """;

    [Fact]
    public async Task Picture_deleted_while_the_store_is_away_is_gone_at_once_and_purged_when_it_is_back()
    {
        HostWorker("worker-1");
        await using var listener = await RawClient.ConnectAsync(Broker);
        var events = await listener.ListenAsync("image-deleted");
        var (project, image) = await ShownAsync("kite");
        await Store.StopAsync();
        var delete = Delete(project, image);

        await SendAsync(WireMessage.Command(delete));

        await UntilAsync("the tombstone", async () => await StateAsync(image) == "deleted");
        await UntilAsync(
            "two failures that are visible",
            async () => await ScalarAsync<string>(Deletion, delete.CommandId) == "Purging t t"
        );
        (await MessagesAsync(events)).ShouldBe(0u);
        (await Bucket.KeysAsync("projects/")).Count.ShouldBe(1);

        await Store.ListenAsync();
        await UntilCompletedAsync(delete.CommandId);

        await UntilAsync("the event", async () => await MessagesAsync(events) == 1);
        await ShouldBeCleanAsync();
        Cdn.Told.ShouldBe([KeyOf(project, image, "kite")]);

        var again = Delete(project, image);
        await SendAsync(WireMessage.Command(again));
        await UntilAsync("the second receipt", async () => await OutcomeAsync(again.CommandId) == "unchanged");
        (await ScalarAsync<long>("select count(*) from status.deletions")).ShouldBe(1);
    }

    [Fact]
    public async Task Only_the_key_that_was_refused_is_deleted_again()
    {
        HostWorker("worker-1");
        var (project, image) = await ShownAsync("kite");
        var derived = $"projects/{project}/{image}/derived/thumbnail.webp";
        await Bucket.PutAsync(derived, [1]);
        await Bucket.PutAsync($"projects/{project}/{image}/derived/frame-1.webp", [1]);
        Store.LockedKey = derived;
        var batches = new ConcurrentQueue<IReadOnlyList<string>>();
        var unlock = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Store.Fate = async call =>
        {
            if (call.Kind != "delete")
                return S3Fate.Pass;
            batches.Enqueue(call.Keys);
            if (batches.Count == 2)
                await unlock.Task;
            return S3Fate.Pass;
        };
        var delete = Delete(project, image);

        await SendAsync(WireMessage.Command(delete));
        await UntilAsync("the second try", () => Task.FromResult(batches.Count == 2));

        (
            await RowsAsync("select key from status.deletion_keys where purged_at is null", x => x.GetString(0))
        ).ShouldBe([derived]);
        (await ScalarAsync<string>("select reason from status.deletion_keys where purged_at is null")).ShouldContain(
            "AccessDenied"
        );
        (await Bucket.KeysAsync("projects/")).ShouldBe([derived]);
        Store.LockedKey = null;
        unlock.SetResult();
        await UntilCompletedAsync(delete.CommandId);

        batches.Select(x => x.Count).ShouldBe([3, 1]);
        batches.Last().ShouldBe([derived]);
        (await ScalarAsync<int>("select keys_purged::int from status.deletions")).ShouldBe(3);
        await ShouldBeCleanAsync();
    }

    [Fact]
    public async Task Key_that_stays_in_the_way_ends_visibly_and_a_person_goes_on()
    {
        HostWorker("worker-1");
        await using var listener = await RawClient.ConnectAsync(Broker);
        var failures = await listener.ListenAsync("image-deletion-failed");
        var (project, image) = await ShownAsync("kite");
        Store.LockedKey = KeyOf(project, image, "kite");
        var delete = Delete(project, image);
        await SendAsync(WireMessage.Command(delete));

        await UntilAsync("the failure", async () => await MessagesAsync(failures) == 1);
        (await ScalarAsync<string>("select concat(state, ' ', keys_left) from status.deletions")).ShouldBe("Failed 1");
        Cdn.Told.ShouldBeEmpty();

        // Tried anew in vain; the same command once more has had its tries.
        var retry = new RetryDeletion(Guid.NewGuid(), await ScalarAsync<Guid>("select id from status.deletions"));
        await SendAsync(WireMessage.Command(retry, retry.CommandId, project));
        await UntilAsync("the second failure", async () => await MessagesAsync(failures) == 2);
        (await OutcomeAsync(retry.CommandId)).ShouldBe("applied");
        var attempt = await ScalarAsync<int>("select attempt from status.deletions");
        await SendAsync(WireMessage.Command(retry, retry.CommandId, project));

        Store.LockedKey = null;
        var last = retry with { CommandId = Guid.NewGuid() };
        await SendAsync(WireMessage.Command(last, last.CommandId, project));
        await UntilCompletedAsync(delete.CommandId);
        (await ScalarAsync<int>("select attempt from status.deletions")).ShouldBe(attempt + 3, "purge, verify, tell");
        await ShouldBeCleanAsync();

        var unknown = new RetryDeletion(Guid.NewGuid(), Guid.NewGuid());
        await SendAsync(WireMessage.Command(unknown, unknown.CommandId, project));
        await UntilAsync("the refusal", async () => await OutcomeAsync(unknown.CommandId) == "rejected");
    }

    [Theory]
    [InlineData("cdn", "purge: 403 Forbidden")] // The bytes are gone, copies are not.
    [InlineData("list", "1 object is left.")] // A store that takes each deletion and keeps the object.
    public async Task What_refuses_for_good_ends_visibly_and_a_person_goes_on(string who, string reason)
    {
        HostWorker("worker-1");
        var (project, image) = await ShownAsync("kite");
        Cdn.Status = who == "cdn" ? 403 : 200;
        Store.Fate = call => Task.FromResult(call.Kind == who ? S3Fate.Garble : S3Fate.Pass);
        var delete = Delete(project, image);

        await SendAsync(WireMessage.Command(delete));
        await UntilAsync(
            "it is given up",
            async () => await ScalarAsync<long>("select count(*) from status.deletions where state = 'Failed'") == 1
        );
        (await ScalarAsync<string>("select failure_reason from status.deletions")).ShouldContain(reason);
        (await RowsAsync("select key from status.deletion_keys", x => x.GetString(0))).ShouldContain(x =>
            x == KeyOf(project, image, "kite")
        );
        (await MessagesAsync("purge-image_error")).ShouldBe(0u);

        Cdn.Status = 200;
        Store.Fate = _ => Task.FromResult(S3Fate.Pass);
        var retry = new RetryDeletion(Guid.NewGuid(), await ScalarAsync<Guid>("select id from status.deletions"));
        await SendAsync(WireMessage.Command(retry, retry.CommandId, project));
        await UntilCompletedAsync(delete.CommandId);
        await ShouldBeCleanAsync();
        Cdn.References.Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
    }

    [Fact]
    public async Task Project_of_more_than_a_thousand_objects_is_purged_in_batches()
    {
        const int Objects = 1_100;
        HostWorker("worker-1");
        var (project, _) = await ShownAsync("kite");
        await Parallel.ForAsync(
            0,
            Objects,
            new ParallelOptions { MaxDegreeOfParallelism = 16 },
            async (i, _) => await Bucket.PutAsync($"projects/{project}/{Guid.NewGuid()}/{i}.png", [1])
        );
        var sizes = new ConcurrentQueue<int>();
        Store.Fate = call =>
        {
            if (call.Kind == "delete")
                sizes.Enqueue(call.Keys.Count);
            return Task.FromResult(S3Fate.Pass);
        };
        var delete = new DeleteProject(Guid.NewGuid(), project);

        await SendAsync(WireMessage.Command(delete));
        await UntilAsync(
            "the project is out of sight",
            async () => await ScalarAsync<long>("select count(*) from status.projects") == 0
        );
        await UntilCompletedAsync(delete.CommandId);

        sizes.ShouldBe([1_000, 101]);
        Cdn.Told.Distinct(StringComparer.Ordinal).Count().ShouldBe(Objects + 1);
        await ShouldBeCleanAsync();
    }
}
