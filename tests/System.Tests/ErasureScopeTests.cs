using Pipeline.Contracts.Deleting;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>An erasure takes all that is the project's, whatever became of it before, and nothing of another's.</summary>
public sealed class ErasureScopeTests : DeletionStack
{
    private const int Uploads = 1_003; // More than one page.

    [Fact]
    public async Task Storyboard_of_the_same_id_in_another_project_stays_and_every_upload_goes()
    {
        HostWorker("worker");
        var (project, _) = await ShownAsync("kite");
        var (other, otherImage) = await ShownAsync("boat");
        var storyboard = Guid.NewGuid();
        foreach (var one in new[] { project, other })
            await this.ExecuteAsync(
                $"""
                insert into pipeline.generation_storyboards (command_id, project_id, requested, created_at, completed_at)
                values ('{storyboard}', '{one}', 1, now(), now());
                insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
                values ('{storyboard}', '{one}', gen_random_uuid(), 'scene-1', 0)
                """
            );
        await Parallel.ForEachAsync(
            Enumerable.Range(0, Uploads),
            async (number, _) => await Bucket.PutAsync($"uploads/{number:D5}", [1])
        );
        await this.ExecuteAsync(
            $"""
            insert into pipeline.import_sources (key, project_id, command_id, begun_at)
            select 'uploads/' || lpad(n::text, 5, '0'), '{project}', gen_random_uuid(), now()
            from generate_series(0, {Uploads - 1}) n
            """
        );

        await EraseAsync(project);

        (await Bucket.KeysAsync("uploads/")).ShouldBeEmpty();
        (await RowsAsync("select project_id from pipeline.generation_storyboard_items", x => x.GetGuid(0))).ShouldBe([
            other,
        ]);
        (await RowsAsync("select project_id from pipeline.generation_storyboards", x => x.GetGuid(0))).ShouldBe([
            other,
        ]);
        (await StateAsync(otherImage)).ShouldBe("shown");
    }

    [Fact]
    public async Task Project_whose_deletion_was_completed_before_is_erased_as_well()
    {
        HostWorker("worker");
        var (project, _) = await ShownAsync("kite");
        var delete = new DeleteProject(Guid.NewGuid(), project);
        await SendAsync(WireMessage.Command(delete));
        await UntilCompletedAsync(delete.CommandId);

        await EraseAsync(project);

        (await Bucket.KeysAsync("projects/")).ShouldBeEmpty();
    }

    private async Task EraseAsync(Guid project)
    {
        await SendAsync(WireMessage.Command(new EraseProject(Guid.NewGuid(), project)));
        await UntilAsync(
            "the project is erased",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.erasures where project_id = $1 and state = 'Erased'",
                    project
                ) == 1
        );
    }
}
