using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Storage;

public sealed class ObjectKeysTests
{
    private const string Sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    private static readonly Guid Project = Guid.Parse("0198F000-0000-7000-8000-00000000000A");
    private static readonly Guid Image = Guid.Parse("0198f000-0000-7000-8000-00000000000b");

    [Fact]
    public void Image_key_is_made_of_ids_and_content_and_reads_back()
    {
        var key = ObjectKeys.ForImage(Project, Image, Sha256, "jpg");

        key.ShouldBe(
            "projects/0198f000-0000-7000-8000-00000000000a/0198f000-0000-7000-8000-00000000000b/"
                + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.jpg"
        );
        ObjectKeys.TryParseImage(key, out var parsed).ShouldBeTrue();
        parsed.ShouldBe(new ImageKey(Project, Image, Sha256, "jpg", "image/jpeg"));
    }

    [Fact]
    public void Further_copy_has_its_number_and_the_first_has_none()
    {
        var key = ObjectKeys.ForImage(Project, Image, Sha256, "jpg", copy: 12);

        key.ShouldEndWith($"/{Sha256}-12.jpg");
        ObjectKeys.TryParseImage(key, out var parsed).ShouldBeTrue();
        parsed.ShouldBe(new ImageKey(Project, Image, Sha256, "jpg", "image/jpeg"));
        foreach (var other in new[] { "-1", "-0", "-01", "-", "-1000", "--2", "-2-3", "-x", "-+2" })
            ObjectKeys.TryParseImage(key.Replace("-12.", $"{other}."), out _).ShouldBeFalse(other);
        Should.Throw<ArgumentException>(() => ObjectKeys.ForImage(Project, Image, Sha256, "jpg", copy: 0));
        Should.Throw<ArgumentException>(() => ObjectKeys.ForImage(Project, Image, Sha256, "jpg", copy: 1_000));
    }

    [Theory]
    [InlineData("", "png")]
    [InlineData("../../../../etc/passwd", "png")]
    [InlineData("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "png")]
    [InlineData(Sha256, "svg")]
    [InlineData(Sha256, "png/../../x")]
    [InlineData(Sha256, "PNG")]
    public void Hostile_part_makes_no_key(string sha256, string extension) =>
        Should.Throw<ArgumentException>(() => ObjectKeys.ForImage(Project, Image, sha256, extension));

    [Fact]
    public void Ids_of_zeros_make_no_key()
    {
        Should.Throw<ArgumentException>(() => ObjectKeys.ForImage(Guid.Empty, Image, Sha256, "png"));
        Should.Throw<ArgumentException>(() => ObjectKeys.ForImage(Project, Guid.Empty, Sha256, "png"));
        Should.Throw<ArgumentException>(() => ObjectKeys.ForUpload(Guid.Empty));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("projects")]
    [InlineData("projects/x/y/z.png")]
    [InlineData(
        "projects/0198F000-0000-7000-8000-00000000000A/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png"
    )]
    [InlineData(
        "projects/0198f000-0000-7000-8000-00000000000a/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".svg"
    )]
    [InlineData(
        "projects/0198f000-0000-7000-8000-00000000000a/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png\n"
    )]
    [InlineData(
        "projects/0198f000-0000-7000-8000-00000000000a/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png/x"
    )]
    [InlineData(
        "/projects/0198f000-0000-7000-8000-00000000000a/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png"
    )]
    [InlineData(
        "projects/{0198f000-0000-7000-8000-00000000000a}/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png"
    )]
    [InlineData(
        "projects/00000000-0000-0000-0000-000000000000/0198f000-0000-7000-8000-00000000000b/" + Sha256 + ".png"
    )]
    public void Another_key_is_no_image_key(string? key) => ObjectKeys.TryParseImage(key, out _).ShouldBeFalse();

    [Fact]
    public void Generated_key_is_known_again_and_nothing_else_is()
    {
        var key = ObjectKeys.ForGenerated(Image, Sha256, "webp");

        key.ShouldBe($"generated/{Image:D}/{Sha256}.webp");
        ObjectKeys.IsGenerated(key).ShouldBeTrue();
        ObjectKeys.IsGenerated(key + "/x").ShouldBeFalse();
        ObjectKeys.IsGenerated(key.ToUpperInvariant()).ShouldBeFalse();
        ObjectKeys.IsGenerated($"generated/{Image:D}/{Sha256}.svg").ShouldBeFalse();
        ObjectKeys.IsGenerated($"generated/../{Sha256}.png").ShouldBeFalse();
        ObjectKeys.IsGenerated(null).ShouldBeFalse();
        Should.Throw<ArgumentException>(() => ObjectKeys.ForGenerated(Guid.Empty, Sha256, "png"));
        Should.Throw<ArgumentException>(() => ObjectKeys.ForGenerated(Image, "x", "png"));
    }

    [Fact]
    public void Upload_key_is_known_again_and_nothing_else_is()
    {
        var key = ObjectKeys.ForUpload(Image);

        key.ShouldBe("uploads/0198f000-0000-7000-8000-00000000000b");
        ObjectKeys.IsUpload(key).ShouldBeTrue();
        ObjectKeys.IsUpload("uploads/0198F000-0000-7000-8000-00000000000B").ShouldBeFalse();
        ObjectKeys.IsUpload("uploads/../projects/x").ShouldBeFalse();
        ObjectKeys.IsUpload(key + "/x").ShouldBeFalse();
        ObjectKeys.IsUpload(null).ShouldBeFalse();
    }
}
