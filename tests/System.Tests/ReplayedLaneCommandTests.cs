using Pipeline.Contracts.Deleting;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Commands about a picture that failed in their lane, and what a person does about them later.</summary>
public sealed class ReplayedLaneCommandTests : DeletionStack
{
    private const string BreakSql = """
        create function public.refuse() returns trigger language plpgsql as $$
        begin
            raise exception 'the quota is used up';
        end $$;
        create trigger refuse before insert or update on pipeline.images for each row execute function public.refuse();
        """;

    private const string MendSql = "drop trigger refuse on pipeline.images";

    private const string Held = "select count(*) from pipeline.held_objects";

    // Deletions can be taken back within the test.
    private protected override string GracePeriod => "01:00:00";

    [Fact]
    public async Task Replayed_deletion_does_not_undo_a_restoration_and_the_plan_says_so()
    {
        HostWorker("worker");
        var (project, image) = await ShownAsync("kite");
        await this.ExecuteAsync(BreakSql);
        var failed = Delete(project, image);
        await SendAsync(WireMessage.Command(failed));
        await UntilAsync("the failure", async () => await OutcomeAsync(failed.CommandId) == "failed");
        await this.ExecuteAsync(MendSql);
        var restore = new RestoreImage(Guid.NewGuid(), project, image);
        await SendAsync(WireMessage.Command(Delete(project, image)), WireMessage.Command(restore));
        await UntilAsync("the restoration", async () => await OutcomeAsync(restore.CommandId) == "applied");

        var plan = await this.DeskAsync("replay", "--all", "--dry-run");
        plan.ExitCode.ShouldBe(0, plan.Error);
        plan.Objects()[0].GetProperty("superseded").GetInt32().ShouldBe(1);
        var replay = await this.DeskAsync("replay", "--all", "--reason", "mended");
        replay.ExitCode.ShouldBe(0, replay.Error);

        await UntilAsync("its end", async () => await OutcomeAsync(failed.CommandId) == "superseded");
        (await StateAsync(image)).ShouldBe("shown");
    }

    [Fact]
    public async Task Object_of_a_failed_save_is_held_until_its_dead_letter_is_discarded()
    {
        HostWorker("worker");
        await this.ExecuteAsync(BreakSql);
        var (project, image) = (Guid.NewGuid(), Guid.NewGuid());
        await StoreAsync(project, image, "kite");
        var save = Save(project, image, "kite");
        await SendAsync(WireMessage.Command(save));
        await UntilAsync("the failure", async () => await OutcomeAsync(save.CommandId) == "failed");
        (await ScalarAsync<long>(Held)).ShouldBe(1);

        var discard = await this.DeskAsync("discard", "--all", "--reason", "not wanted");
        discard.ExitCode.ShouldBe(0, discard.Error);

        await UntilAsync("the end of the hold", async () => await ScalarAsync<long>(Held) == 0);
    }
}
