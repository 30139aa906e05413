using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>kill -9 between any two of tombstone, purge, verification, invalidation and row.</summary>
public sealed class DeletionBoundaryTests : DeletionStack
{
    [Theory]
    [InlineData("list", false)] // After the tombstone, before the first object is deleted.
    [InlineData("delete", false)] // The objects are written down, none is deleted.
    [InlineData("delete", true)] // They are deleted, and nobody has written that down.
    [InlineData("verify", false)] // They are written down as deleted.
    [InlineData("cdn", false)] // The CDN is told of the first, and its answer is not heard.
    public async Task Worker_killed_at_any_boundary_leaves_nothing_behind(string boundary, bool isCarriedOut)
    {
        var victim = StartWorker("victim");
        var (project, image) = await ShownAsync("kite");
        await Bucket.PutAsync($"projects/{project}/{image}/derived/thumbnail.webp", [1]);
        var lists = 0;
        var killed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Store.Fate = async call =>
        {
            if (call.Kind == "list")
                lists++;
            var isThere = boundary == "verify" ? call.Kind == "list" && lists == 2 : call.Kind == boundary;
            if (!isThere || killed.Task.IsCompleted)
                return S3Fate.Pass;
            if (isCarriedOut)
                return await AfterAsync();
            await KillAsync();
            return S3Fate.Break;
        };
        BeforeCdnAnswers = async () =>
        {
            if (boundary == "cdn" && !killed.Task.IsCompleted)
                await KillAsync();
        };
        var delete = Delete(project, image);

        await SendAsync(WireMessage.Command(delete));
        await killed.Task.WaitAsync(TimeSpan.FromSeconds(120));
        StartWorker("successor");
        await UntilCompletedAsync(delete.CommandId);

        await ShouldBeCleanAsync();
        ToldToCdn.Distinct(StringComparer.Ordinal).Count().ShouldBe(2);
        (await ScalarAsync<long>("select count(*) from status.deletions")).ShouldBe(1);

        async Task KillAsync()
        {
            await victim.KillAsync();
            killed.TrySetResult();
        }

        async Task<S3Fate> AfterAsync()
        {
            // The store carries it out after this returns, and the victim is dead before it could read the answer.
            await KillAsync();
            return S3Fate.BreakAfter;
        }
    }
}
