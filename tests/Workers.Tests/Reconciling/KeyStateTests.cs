using Pipeline.Workers.Reconciling;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Reconciling;

public sealed class KeyStateTests
{
    private const string Key = "projects/p/i/object.png";

    private static readonly DateTimeOffset Cutoff = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    private static readonly StoredObject Stored = new(Key, 10, "etag", null, Cutoff.AddHours(-1));

    private static readonly KnownPicture Picture = new(
        Guid.NewGuid(),
        Guid.NewGuid(),
        10,
        new string('a', 64),
        true,
        0
    );

    private static readonly KnownEntry Entry = new(10, "etag", IsSettled: true);

    private static readonly KeyState Whole = new(Key, Stored, Picture, Entry);

    [Fact]
    public void What_agrees_is_no_finding() => Kinds(Whole).ShouldBeEmpty();

    [Fact]
    public void Each_disagreement_has_its_kind()
    {
        Kinds(Whole with { Object = null })
            .ShouldBe([FindingKinds.PictureWithoutObject, FindingKinds.EntryWithoutObject]);
        Kinds(Whole with { Object = null, Entry = null, Picture = Picture with { Urls = 2 } })
            .ShouldBe([FindingKinds.PictureWithoutObject, FindingKinds.UrlWithoutObject]);
        Kinds(Whole with { Picture = Picture with { ByteLength = 11 } }).ShouldBe([FindingKinds.SizeDiffers]);
        Kinds(Whole with { Picture = null }).ShouldBe([FindingKinds.ObjectWithoutPicture]);
        Kinds(Whole with { Picture = null, Entry = null }).ShouldBe([FindingKinds.ObjectWithoutPicture]);
        Kinds(Whole with { Entry = null }).ShouldBe([FindingKinds.ObjectWithoutEntry]);
        Kinds(Whole with { Entry = Entry with { ETag = "other" } }).ShouldBe([FindingKinds.EntryDiffers]);
        Kinds(Whole with { Entry = Entry with { Size = 9 } }).ShouldBe([FindingKinds.EntryDiffers]);
    }

    [Fact]
    public void What_is_in_flight_is_left_alone()
    {
        var late = Stored with { LastModified = Cutoff };

        Kinds(new KeyState(Key, late, Picture: null, Entry: null)).ShouldBeEmpty();
        Kinds(new KeyState(Key, Stored, Picture: null, Entry: null, IsClaimed: true)).ShouldBeEmpty();
        Kinds(new KeyState(Key, late, Picture with { ByteLength = 11 }, Entry with { Size = 11 })).ShouldBeEmpty();
        Kinds(new KeyState(Key, Object: null, Picture with { IsExpected = false }, Entry: null)).ShouldBeEmpty();
        Kinds(new KeyState(Key, Object: null, Picture: null, Entry with { IsSettled = false })).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("uploads/b2c3")]
    [InlineData("generated/a/b.png")]
    public void What_comes_and_goes_needs_no_entry(string key) =>
        Kinds(new KeyState(key, Stored with { Key = key }, Picture: null, Entry: null)).ShouldBeEmpty();

    private static IEnumerable<string> Kinds(KeyState state) => state.Compare(Cutoff).Select(x => x.Kind);
}
