using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Terminal;
using Pipeline.Publisher.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Importing;

public sealed class ImportPlanTests : IDisposable
{
    private readonly ScratchFolder _folder = new();
    private readonly List<string> _skipped = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Folder_is_the_scene_and_number_is_the_slot()
    {
        _folder.Write("scene-2/10.png");
        _folder.Write("scene-2/9.jpg");
        _folder.Write("scene-1/0.webp");

        var plan = Plan(_folder.Path);

        plan.Select(x => (x.SceneId, x.Slot, x.Name))
            .ShouldBe([
                ("scene-1", 0, "scene-1/0.webp"),
                ("scene-2", 9, "scene-2/9.jpg"),
                ("scene-2", 10, "scene-2/10.png"),
            ]);
    }

    [Fact]
    public void Names_without_numbers_only_order_the_slots()
    {
        _folder.Write("a/moon.png");
        _folder.Write("a/dawn.png");

        Plan(_folder.Path).Select(x => (x.Name, x.Slot)).ShouldBe([("a/dawn.png", 0), ("a/moon.png", 1)]);
    }

    [Fact]
    public void What_is_no_picture_by_its_name_is_skipped_and_told()
    {
        _folder.Write("a/0.png");
        _folder.Write("a/notes.txt");
        _folder.Write("a/.hidden.png");

        Plan(_folder.Path).Count.ShouldBe(1);
        _skipped.ShouldHaveSingleItem().ShouldBe(Path.Combine(_folder.Path, "a", "notes.txt"));
    }

    [Fact]
    public void Numbers_and_other_names_in_one_folder_could_meet_in_one_slot()
    {
        _folder.Write("a/0.png");
        _folder.Write("a/moon.png");

        Refusal(_folder.Path).ShouldContain("some file names are slots");
    }

    [Fact]
    public void Two_files_for_one_slot_are_refused()
    {
        _folder.Write("a/0.png");
        _folder.Write("a/00.png");

        Refusal(_folder.Path).ShouldContain("two files are for slot 0");
    }

    [Fact]
    public void Empty_file_is_refused_before_anything_is_sent()
    {
        _folder.Write("a/0.png", "");

        Refusal(_folder.Path).ShouldContain("has 0 bytes");
    }

    [Fact]
    public void Directory_without_pictures_is_refused() => Refusal(_folder.Path).ShouldContain("holds no pictures");

    [Theory]
    [InlineData("ftp://example.org/a.png", "http or https")]
    [InlineData("nowhere.png", "no such file")]
    public void Source_that_is_not_there_is_refused(string source, string problem) =>
        Refusal(source).ShouldContain(problem);

    [Fact]
    public void Files_and_addresses_count_up_from_the_slot()
    {
        var file = _folder.Write("x.png");

        var plan = ImportPlan.Of([file, "https://example.org/y.png"], "scene-4", slot: 5, _skipped.Add);

        plan.Select(x => (x.SceneId, x.Slot, x.IsUrl)).ShouldBe([("scene-4", 5, false), ("scene-4", 6, true)]);
    }

    [Fact]
    public void Slot_beyond_the_last_is_refused()
    {
        var file = _folder.Write("x.png");

        Should.Throw<UsageException>(() =>
            ImportPlan.Of([file, "https://example.org/a.png"], "s", slot: 9_999, _skipped.Add)
        );
    }

    [Fact]
    public void Same_picture_at_the_same_place_is_the_same_command()
    {
        var project = Guid.NewGuid();
        var picture = new Picture("scene-1/0.png", "/here/0.png", IsUrl: false, "scene-1", 0);
        var elsewhere = picture with { Location = "/there/0.png" };

        picture.Command(project, "abc").ShouldBe(elsewhere.Command(project, "abc"));
    }

    [Fact]
    public void Changed_picture_at_the_same_place_is_another_command_about_the_same_image()
    {
        var project = Guid.NewGuid();
        var picture = new Picture("scene-1/0.png", "0.png", IsUrl: false, "scene-1", 0);

        var (first, second) = (picture.Command(project, "abc"), picture.Command(project, "def"));

        second.ImageId.ShouldBe(first.ImageId);
        second.CommandId.ShouldNotBe(first.CommandId);
        (second.UploadKey == first.UploadKey).ShouldBeFalse();
    }

    [Fact]
    public void Other_project_scene_slot_or_name_is_another_image()
    {
        var project = Guid.NewGuid();
        var picture = new Picture("0.png", "0.png", IsUrl: false, "scene-1", 0);

        Guid[] ids =
        [
            picture.Command(project, "abc").ImageId,
            picture.Command(Guid.NewGuid(), "abc").ImageId,
            (picture with { SceneId = "scene-2" }).Command(project, "abc").ImageId,
            (picture with { Slot = 1 }).Command(project, "abc").ImageId,
            (picture with { Name = "1.png" }).Command(project, "abc").ImageId,
        ];

        ids.ShouldBeUnique();
    }

    private IReadOnlyList<Picture> Plan(string source) =>
        ImportPlan.Of([source], scene: null, slot: null, _skipped.Add);

    private string Refusal(string source) => Should.Throw<UsageException>(() => Plan(source)).Message;
}
