using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Saving;
using Pipeline.Workers.Storyboards;
using Pipeline.Workers.Tests.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Lanes;

/// <summary>A command that failed and is replayed has the place that it had: what came later stands.</summary>
public sealed class ReplayOrderTests(ScratchDatabase database) : IClassFixture<ScratchDatabase>, IDisposable
{
    private static readonly RetentionOptions Retention = new();

    private const string Boom = "It could not be carried out.";

    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().BuildServiceProvider();

    private readonly Guid _project = Guid.NewGuid();

    private LaneWriter Writer =>
        new(
            database.Source,
            [new DefineScenesHandler(), new SaveImageHandler(Retention), new ReplaceImageHandler(Retention)],
            new LaneMetrics(_meters.GetRequiredService<IMeterFactory>()),
            TimeProvider.System
        );

    [Fact]
    public async Task Storyboard_does_not_overwrite_one_that_was_set_after_it_had_failed()
    {
        var (old, later) = (Board("old"), Board("later"));
        await FailAsync(old);
        await ApplyAsync(New(later));

        (await ApplyAsync(Replayed(old))).ShouldBe([Outcomes.Superseded]);

        (await PromptAsync()).ShouldBe("later");
    }

    [Fact]
    public async Task Storyboard_does_not_overwrite_a_newer_one_of_the_same_batch()
    {
        var (old, later) = (Board("old"), Board("later"));
        await FailAsync(old);

        (await ApplyAsync(New(later), Replayed(old))).ShouldBe([Outcomes.Applied, Outcomes.Superseded]);

        (await PromptAsync()).ShouldBe("later");
    }

    [Fact]
    public async Task Storyboard_does_not_overwrite_a_newer_one_across_a_run_of_other_commands()
    {
        var (old, later) = (Board("old"), Board("later"));
        await FailAsync(old);

        (await ApplyAsync(New(later), New(Save(slot: 3)), Replayed(old))).ShouldBe([
            Outcomes.Applied,
            Outcomes.TargetMissing,
            Outcomes.Superseded,
        ]);
    }

    [Fact]
    public async Task Failures_replayed_in_their_order_are_all_applied_and_the_last_one_stands()
    {
        var (first, second) = (Board("first"), Board("second"));
        await FailAsync(first);
        await FailAsync(second);

        (await ApplyAsync(Replayed(first))).ShouldBe([Outcomes.Applied]);
        (await ApplyAsync(Replayed(second))).ShouldBe([Outcomes.Applied]);

        (await PromptAsync()).ShouldBe("second");
    }

    [Fact]
    public async Task Failures_replayed_the_other_way_round_end_the_same()
    {
        var (first, second) = (Board("first"), Board("second"));
        await FailAsync(first);
        await FailAsync(second);

        (await ApplyAsync(Replayed(second), Replayed(first))).ShouldBe([Outcomes.Applied, Outcomes.Superseded]);

        (await PromptAsync()).ShouldBe("second");
    }

    [Fact]
    public async Task Picture_gives_way_to_one_that_was_saved_later_into_its_scene_and_slot()
    {
        var (old, later, elsewhere) = (Save(slot: 0), Save(slot: 0), Save(slot: 1));
        await FailAsync(old);
        await FailAsync(elsewhere);
        await ApplyAsync(New(later));

        (await ApplyAsync(Replayed(old), Replayed(elsewhere))).ShouldBe([Outcomes.Superseded, Outcomes.TargetMissing]);
    }

    [Fact]
    public async Task Picture_gives_way_to_one_of_the_same_batch_and_to_its_own_later_version()
    {
        var (old, later) = (Save(slot: 0), Save(slot: 0));
        var other = Save(slot: 4);
        await FailAsync(old);
        await FailAsync(other);
        var otherwise = Save(slot: 5) with { ImageId = other.ImageId };

        (await ApplyAsync(New(later), Replayed(old), New(otherwise), Replayed(other))).ShouldBe([
            Outcomes.TargetMissing,
            Outcomes.Superseded,
            Outcomes.TargetMissing,
            Outcomes.Superseded,
        ]);
    }

    [Fact]
    public async Task Pictures_of_one_slot_that_failed_one_after_the_other_are_all_saved_in_that_order()
    {
        SaveImage[] saves = [Save(slot: 0), Save(slot: 0), Save(slot: 0)];
        foreach (var save in saves)
            await FailAsync(save);

        foreach (var save in saves)
            (await ApplyAsync(Replayed(save))).ShouldBe([Outcomes.TargetMissing]);
    }

    [Fact]
    public async Task Picture_that_was_saved_before_the_failure_is_no_reason_to_give_way()
    {
        var save = Save(slot: 0);
        await ApplyAsync(New(Save(slot: 0)));
        await FailAsync(save);

        (await ApplyAsync(Replayed(save))).ShouldBe([Outcomes.TargetMissing]);
    }

    /// <summary>Its receipt is gone with time, or the broker gave it up and a person was faster than its receipt.</summary>
    [Fact]
    public async Task Command_whose_failure_is_not_on_record_is_older_than_all_that_is_also_after_it_failed_again()
    {
        var (old, later, save) = (Board("old"), Board("later"), Save(slot: 0));
        await ApplyAsync(New(later));
        await ApplyAsync(New(Save(slot: 0)));
        foreach (var forgotten in new LaneEntry[] { Replayed(old), Replayed(save) })
            await Writer.CommitFailureAsync(forgotten, Boom, default);

        (await ApplyAsync(Replayed(old, 2), Replayed(save, 2))).ShouldBe([Outcomes.Superseded, Outcomes.Superseded]);
        (await ApplyAsync(Replayed(Board("older")), Replayed(Save(slot: 0)), Replayed(Save(slot: 6)))).ShouldBe([
            Outcomes.Superseded,
            Outcomes.Superseded,
            Outcomes.TargetMissing,
        ]);
        (await PromptAsync()).ShouldBe("later");
    }

    public void Dispose() => _meters.Dispose();

    [Fact]
    public async Task Replacement_gives_way_to_a_newer_one_also_where_that_is_still_awaited()
    {
        var save = Save(slot: 7);
        var (old, later) = (Replace(save), Replace(save));
        await ApplyAsync(New(save));
        await FailAsync(old);
        await ApplyAsync(New(later));

        (await ApplyAsync(Replayed(old))).ShouldBe([Outcomes.Superseded]);

        await ApplyAsync(New(Replace(save)));
        var (first, second) = (Replace(save), Replace(save));
        await FailAsync(first);
        await FailAsync(second);
        (await ApplyAsync(Replayed(first))).ShouldNotBe([Outcomes.Superseded]);
        (await ApplyAsync(Replayed(second))).ShouldNotBe([Outcomes.Superseded]);
        (await ApplyAsync(Replayed(old))).ShouldBe([Outcomes.Superseded]);
    }

    private ReplaceImage Replace(SaveImage save)
    {
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Guid.NewGuid().ToByteArray()));
        var key = $"projects/{_project:D}/{save.ImageId:D}/{sha}.png";
        return new ReplaceImage(Guid.NewGuid(), _project, save.ImageId, key, sha, "image/png", 1000, 64, 64);
    }

    private DefineScenes Board(string prompt) =>
        new(Guid.NewGuid(), _project, [new SceneDefinition("scene-1", 1, prompt)]);

    private SaveImage Save(int slot)
    {
        var image = Guid.NewGuid();
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(image.ToByteArray()));
        var key = $"projects/{_project:D}/{image:D}/{sha}.png";
        return new(Guid.NewGuid(), _project, image, "scene-1", null, slot, key, sha, "image/png", 1000, 64, 64);
    }

    private static LaneEntry New<T>(T command)
        where T : class, ILaneCommand => LaneEntry.Of(command, command.CommandId, null, replays: 0, redeliveries: 0);

    private static LaneEntry Replayed<T>(T command, int replays = 1)
        where T : class, ILaneCommand => LaneEntry.Of(command, command.CommandId, null, replays, redeliveries: 0);

    private Task FailAsync<T>(T command)
        where T : class, ILaneCommand => Writer.CommitFailureAsync(New(command), Boom, default);

    private async Task<string[]> ApplyAsync(params LaneEntry[] batch)
    {
        await Writer.CommitAsync(batch, default);
        return [.. batch.Select(x => x.Decision!.Outcome)];
    }

    private async Task<string> PromptAsync() =>
        (await database.TextsAsync("select prompt from pipeline.scenes where project_id = $1", _project)).Single();
}
