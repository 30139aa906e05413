using Pipeline.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Formats;

/// <summary>How large an AVIF really is: what a decoder makes room for, whatever the container says.</summary>
public sealed class AvifTests
{
    private static readonly ImageLimits Limits = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sequence_header_behind_a_small_container_counts(bool isFull)
    {
        Reason(TinyAvif.File(10, 10, TinyAvif.Unit(60_000, 50_000, isFull))).ShouldContain("3000000000 pixels inside");
        Facts(TinyAvif.File(10, 10, TinyAvif.Unit(5_000, 10_000, isFull))).Decoded.ShouldBe(50_000_000);
        Reason(TinyAvif.File(10, 10, TinyAvif.Unit(5_000, 10_001, isFull))).ShouldContain("50005000");
    }

    [Fact]
    public void Second_sequence_header_counts_as_well()
    {
        byte[] both = [.. TinyAvif.Unit(10, 10), .. TinyAvif.Unit(10_000, 5_001)];

        Reason(TinyAvif.File(10, 10, both)).ShouldContain("50010000");
    }

    [Fact]
    public void Every_item_counts_and_not_the_shown_one_alone()
    {
        byte[][] tiles = [.. Enumerable.Repeat(TinyAvif.Unit(5_000, 5_000), 3)];

        Reason(TinyAvif.File(10_000, 5_000, shown: null, tiles)).ShouldContain("75000000 pixels inside");
        Facts(TinyAvif.File(10_000, 5_000, shown: null, tiles[..2]));
        Reason(TinyAvif.File(10, 10, TinyAvif.Unit(10, 10), [TinyAvif.Unit(10_000, 5_001)])).ShouldContain("50010");
    }

    [Fact]
    public void Alpha_is_a_plane_of_its_own()
    {
        var image = TinyAvif.Unit(10_000, 5_000);

        Facts(TinyAvif.File(10_000, 5_000, image, [image], areMasks: true));
        Reason(TinyAvif.File(10_000, 5_000, image, [image, image], areMasks: true)).ShouldContain("100000000");
    }

    [Fact]
    public void Frames_of_all_tracks_count()
    {
        byte[][] frames = [.. Enumerable.Repeat(TinyAvif.Unit(3_000, 3_000), 6)];
        byte[][] small = [.. Enumerable.Repeat(TinyAvif.Unit(300, 300), 6)];

        Reason(TinyAvif.Animation(3_000, 3_000, frames, 1, "pict")).ShouldContain("in 6 frames");
        Facts(TinyAvif.Animation(300, 300, small, 1, "pict", "auxv")).Frames.ShouldBe(6);
        Facts(TinyAvif.Animation(300, 300, small, 1, "pict", "pict")).Decoded.ShouldBe(12 * 90_000);
    }

    [Fact]
    public void Frame_that_is_larger_than_its_track_counts()
    {
        byte[][] frames = [TinyAvif.Unit(300, 300), TinyAvif.Unit(9_000, 5_000), TinyAvif.Unit(300, 300)];

        Reason(TinyAvif.Animation(300, 300, frames, 1, "pict")).ShouldContain("135000000");
    }

    [Fact]
    public void What_hides_its_size_is_refused()
    {
        Reason(TinyAvif.File(10, 10, [1, 2, 3])).ShouldContain("damaged");
        Reason(TinyAvif.File(10, 10, [0x12, 0])).ShouldContain("damaged");
        Reason(TinyAvif.File(10, 10, TinyAvif.Unit(10, 10)[..^2])).ShouldContain("damaged");
        byte[] file = TinyAvif.File(10, 10, TinyAvif.Unit(10, 10));
        Reason([.. file, .. TinyFiles.IsoBox("moof", [0])]).ShouldContain("fragments");
        Reason([.. file, .. TinyFiles.IsoBox("meta", new byte[8])]).ShouldContain("two headers");
    }

    [Fact]
    public void File_that_looks_at_the_same_bytes_again_and_again_is_soon_given_up()
    {
        byte[] frame = [.. TinyAvif.Unit(1, 1), .. Enumerable.Repeat((byte[])[0x12, 0], 1_000).SelectMany(x => x)];

        Facts(TinyAvif.Animation(1, 1, [frame], 900, "pict")).Frames.ShouldBe(900);
        Reason(TinyAvif.Animation(1, 1, [frame], 1_100, "pict")).ShouldContain("damaged");
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, false)]
    public void Extents_that_take_no_bytes_are_counted(int items, bool isTaken)
    {
        // Version 2, no field for offsets and lengths. The item that is shown is the box idat; each of the others has
        // 65,535 extents in ten bytes.
        byte[] locations = [2, 0, 0, 0, 0, 0, 0, 0, 0, (byte)(items + 1), 0, 0, 0, 1, 0, 1, 0, 0, 0, 1];
        foreach (var _ in Enumerable.Range(0, items))
            locations = [.. locations, 0, 0, 1, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        var file = TinyAvif.File(10, 10, TinyAvif.Unit(10, 10), locations: locations);

        if (isTaken)
            Facts(file).Decoded.ShouldBe(100);
        else
            Reason(file).ShouldContain("damaged");
    }

    private static ImageFacts Facts(ReadOnlySpan<byte> file)
    {
        var verdict = ImageSniffer.Inspect(file, Limits);
        return verdict.ShouldBeOfType<ImageFacts>((verdict as ImageRefusal)?.Reason);
    }

    private static string Reason(ReadOnlySpan<byte> file) =>
        ImageSniffer.Inspect(file, Limits).ShouldBeOfType<ImageRefusal>().Reason;
}
