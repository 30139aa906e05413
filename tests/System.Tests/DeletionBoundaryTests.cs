using Npgsql;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>kill -9 between any two of tombstone, purge, verification, invalidation and row.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class DeletionBoundaryTests : DeletionStack
{
    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WorkerProcess _victim = null!;
    private Guid _project;
    private Guid _image;

    [Theory]
    [InlineData("list", false)] // Before the first object is deleted.
    [InlineData("delete", false)] // The objects are written down, none is deleted.
    [InlineData("delete", true)] // They are deleted, and nobody has written that down.
    [InlineData("verify", false)] // They are written down as deleted.
    [InlineData("cdn", false)] // CloudFront is told, the cache of the first, and its answer is not heard.
    public async Task Worker_killed_at_any_boundary_leaves_nothing_behind(string boundary, bool isCarriedOut)
    {
        await ShowAsync();
        var lists = 0;
        Store.Fate = async call =>
        {
            if (call.Kind == "list")
                lists++;
            var isThere = boundary == "verify" ? call.Kind == "list" && lists == 2 : call.Kind == boundary;
            if (!isThere || _killed.Task.IsCompleted)
                return S3Fate.Pass;
            // Where the store carries it out, the victim is dead before it could read the answer.
            await KillAsync();
            return isCarriedOut ? S3Fate.BreakAfter : S3Fate.Break;
        };
        Cdn.BeforeAnswer = async () =>
        {
            if (boundary == "cdn" && !_killed.Task.IsCompleted)
                await KillAsync();
        };
        var delete = Delete(_project, _image);

        await SendAsync(WireMessage.Command(delete));
        await _killed.Task.WaitAsync(TimeSpan.FromSeconds(120));
        await ShouldEndWellAsync(delete.CommandId);

        Cdn.References.Count.ShouldBe(boundary == "cdn" ? 2 : 1);
    }

    [Fact]
    public async Task Worker_killed_between_the_tombstone_and_the_beginning_of_the_purge_leaves_nothing_behind()
    {
        await ShowAsync();
        await using var connection = await Database.OpenConnectionAsync();
        await using var held = await HoldAsync(connection);
        var delete = Delete(_project, _image);

        await SendAsync(WireMessage.Command(delete));
        await UntilAsync("the beginning waits", WaitsAsync);
        (await StateAsync(_image)).ShouldBe("deleted");
        (await ScalarAsync<string>("select state from status.deletions")).ShouldBe("Tombstoned");
        await KillAsync();
        await held.RollbackAsync();

        await ShouldEndWellAsync(delete.CommandId);
    }

    [Fact]
    public async Task Worker_killed_between_the_answer_of_the_cdn_and_the_row_leaves_nothing_behind()
    {
        await ShowAsync();
        await using var connection = await Database.OpenConnectionAsync();
        var held = new TaskCompletionSource<NpgsqlTransaction>(TaskCreationOptions.RunContinuationsAsynchronously);
        var asked = 0;
        Cdn.BeforeAnswer = async () =>
        {
            if (Interlocked.Increment(ref asked) == 1)
                held.SetResult(await HoldAsync(connection));
            await held.Task;
        };
        var delete = Delete(_project, _image);

        await SendAsync(WireMessage.Command(delete));
        await using var transaction = await held.Task.WaitAsync(TimeSpan.FromSeconds(120));
        await UntilAsync("the end waits", WaitsAsync);
        (await ScalarAsync<string>("select state from status.deletions")).ShouldBe("Invalidating");
        await KillAsync();
        await transaction.RollbackAsync();

        await ShouldEndWellAsync(delete.CommandId);
        Cdn.Told.Count.ShouldBe(2); // What was answered is not asked again.
    }

    private async Task ShowAsync()
    {
        _victim = StartWorker("victim");
        (_project, _image) = await ShownAsync("kite");
        await Bucket.PutAsync($"projects/{_project}/{_image}/derived/thumbnail.webp", [1]);
    }

    private async Task KillAsync()
    {
        await _victim.KillAsync();
        _killed.TrySetResult();
    }

    /// <summary>The saga writes to this table when it begins and when it ends; the steps only read it then.</summary>
    private static async Task<NpgsqlTransaction> HoldAsync(NpgsqlConnection connection)
    {
        var transaction = await connection.BeginTransactionAsync();
        await using var hold = new NpgsqlCommand("lock table pipeline.deletion_keys in exclusive mode", connection);
        await hold.ExecuteNonQueryAsync();
        return transaction;
    }

    private async Task<bool> WaitsAsync() =>
        await ScalarAsync<long>(
            "select count(*) from pg_locks where not granted and relation = 'pipeline.deletion_keys'::regclass"
        ) > 0;

    /// <summary>Another worker ends it; bucket, rows, catalogue and CDNs agree, and the reconciliation finds nothing.</summary>
    private async Task ShouldEndWellAsync(Guid commandId)
    {
        HostWorker("successor");
        await UntilCompletedAsync(commandId);

        await ShouldBeCleanAsync();
        (await Bucket.KeysAsync("projects/")).ShouldBeEmpty();
        Cdn.Told.Distinct(StringComparer.Ordinal).Count().ShouldBe(2);
        Cdn.References.Distinct(StringComparer.Ordinal).Count().ShouldBe(1);
        (await ScalarAsync<long>("select count(*) from status.deletions")).ShouldBe(1);
        var zero = await VerbRun.RunAsync(this, "reconcile", "--grace", "00:00:00", "--json");
        zero.ExitCode.ShouldBe(0, zero.Error);
        zero.Objects().ShouldHaveSingleItem(); // Its own line; a finding would have another.
    }
}
