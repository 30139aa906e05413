using System.Collections.Concurrent;
using Pipeline.Contracts.Reconciling;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>An object was overwritten behind the pipeline's back, and the worker that discards it is killed.</summary>
public sealed class WrongBytesTests : DeletionStack
{
    private const string Shown =
        "select count(*) from pipeline.images where object_key = $1 and placed and deleted_at is null";

    /// <summary>The store's answer to the last request is lost with the worker.</summary>
    [Theory]
    [InlineData("head")]
    [InlineData("get")]
    [InlineData("delete")]
    public async Task Worker_killed_at_any_request_leaves_no_shown_picture_without_its_object(string killAt)
    {
        var worker = StartWorker("worker-1");
        var (project, image) = await ShownAsync("kite");
        var key = KeyOf(project, image, "kite");
        await Bucket.PutAsync(key, "kita"u8.ToArray());
        var killed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var shownAtDelete = new ConcurrentQueue<long>();
        Store.Fate = async call =>
        {
            if (!call.IsAbout(key))
                return S3Fate.Pass;
            // The only moment at which an object goes: its picture must be out of sight by then.
            if (call.Kind == "delete")
                shownAtDelete.Enqueue(await ScalarAsync<long>(Shown, key));
            if (call.Kind != killAt || killed.Task.IsCompleted)
                return S3Fate.Pass;
            await worker.KillAsync();
            killed.SetResult();
            return S3Fate.BreakAfter;
        };
        var discard = new DiscardObject(Guid.NewGuid(), key, DateTimeOffset.UtcNow.AddHours(1));

        await SendAsync(WireMessage.Command(discard, discard.CommandId, Guid.Empty));
        await UntilAsync("the worker is killed", () => Task.FromResult(killed.Task.IsCompleted));
        HostWorker("worker-2");

        await UntilAsync(
            "the purge of the wrong bytes",
            async () => await ScalarAsync<long>("select count(*) from status.deletions where state = 'Completed'") == 1
        );
        (await OutcomeAsync(discard.CommandId)).ShouldBe("applied");
        shownAtDelete.ShouldNotBeEmpty();
        shownAtDelete.ShouldAllBe(x => x == 0);
        (await StateAsync(image)).ShouldBe("waiting");
        await ShouldBeCleanAsync();

        await ComeBackAsync(project, image);
    }

    /// <summary>The owner puts the right bytes again, under the key that the receipt of the first try tells.</summary>
    private async Task ComeBackAsync(Guid project, Guid image)
    {
        var save = Save(project, image, "kite");
        await SendAsync(WireMessage.Command(save));
        await UntilAsync("the refusal", async () => await OutcomeAsync(save.CommandId) == "rejected");

        var copy = KeyOf(project, image, "kite").Replace(".png", "-2.png", StringComparison.Ordinal);
        await Bucket.PutAsync(copy, "kite"u8.ToArray());
        await PlantObjectsAsync([copy]);
        await SendAsync(WireMessage.Command(save with { CommandId = Guid.NewGuid(), ObjectKey = copy }));

        await UntilAsync("the picture is shown", async () => await StateAsync(image) == "shown");
        await ShouldBeCleanAsync();
    }
}
