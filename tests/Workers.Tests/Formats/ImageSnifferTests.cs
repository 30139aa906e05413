using System.Text;
using Pipeline.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Formats;

public sealed class ImageSnifferTests
{
    private static readonly ImageLimits Limits = new();

    private static Dictionary<string, byte[]> Valid =>
        new(StringComparer.Ordinal)
        {
            ["png"] = TinyFiles.Png(),
            ["apng"] = TinyFiles.Png(frames: 4),
            ["jpeg"] = TinyFiles.Jpeg(),
            ["progressive jpeg"] = TinyFiles.Jpeg(frame: 0xC2, scans: 10),
            ["gif"] = TinyFiles.Gif(),
            ["webp lossy"] = TinyFiles.WebpLossy(),
            ["webp lossless"] = TinyFiles.WebpLossless(),
            ["webp extended"] = TinyFiles.WebpExtended(),
            ["webp animated"] = TinyFiles.WebpAnimated(3, 2, 5),
            ["avif"] = TinyFiles.Avif(),
            ["coded avif"] = TinyAvif.File(3, 2, TinyAvif.Unit(3, 2), [TinyAvif.Unit(1, 1)], areMasks: true),
            ["animated avif"] = TinyAvif.Animation(3, 2, [TinyAvif.Unit(3, 2), TinyAvif.Unit(3, 2)], 1, "pict", "auxv"),
        };

    public static TheoryData<string> ValidNames => [.. Valid.Keys];

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void Format_and_size_are_read_from_the_bytes(string name)
    {
        var facts = Facts(Valid[name]);

        facts.Format.Name.ShouldBe(
            name.Split(' ')[^1] switch
            {
                "png" or "apng" => "PNG",
                "jpeg" => "JPEG",
                "gif" => "GIF",
                "avif" => "AVIF",
                _ => "WebP",
            }
        );
        (facts.Width, facts.Height).ShouldBe((3, 2));
    }

    [Fact]
    public void Frames_of_animations_are_counted()
    {
        Facts(TinyFiles.Png(frames: 4)).Frames.ShouldBe(4);
        Facts(TinyFiles.Gif(frames: 7)).Frames.ShouldBe(7);
        Facts(TinyFiles.WebpAnimated(3, 2, 5)).Frames.ShouldBe(5);
    }

    [Fact]
    public void Largest_sizes_that_a_header_can_say_are_read_right()
    {
        Facts(TinyFiles.WebpLossless(16_384, 3_000)).ShouldBe(new ImageFacts(ImageFormat.Webp, 16_384, 3_000));
        Facts(TinyFiles.WebpLossy(16_383, 3_000)).ShouldBe(new ImageFacts(ImageFormat.Webp, 16_383, 3_000));
        Facts(TinyFiles.Jpeg(65_535, 700)).ShouldBe(new ImageFacts(ImageFormat.Jpeg, 65_535, 700));
        Facts(TinyFiles.Gif(65_535, 700)).ShouldBe(new ImageFacts(ImageFormat.Gif, 65_535, 700));
    }

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void File_that_is_cut_anywhere_is_refused(string name)
    {
        var file = Valid[name];
        for (var length = 0; length < file.Length; length++)
            ImageSniffer.Inspect(file.AsSpan(0, length), Limits).ShouldBeOfType<ImageRefusal>($"first {length} bytes");
    }

    [Fact]
    public void Too_many_pixels_are_refused_also_over_all_frames()
    {
        Reason(TinyFiles.Png(60_000, 60_000)).ShouldContain("60000×60000");
        Reason(TinyFiles.Png(int.MaxValue, int.MaxValue, frames: 3)).ShouldContain("pixels");
        Reason(TinyFiles.Avif(int.MaxValue, int.MaxValue)).ShouldContain("pixels");
        Reason(TinyFiles.Gif(5_000, 5_000, frames: 3)).ShouldContain("3 frames");
        Reason(TinyFiles.Png(5_000, 5_000, frames: 3)).ShouldContain("3 frames");
        Reason(TinyFiles.WebpAnimated(5_000, 5_000, 3)).ShouldContain("3 frames");
        Facts(TinyFiles.Png(5_000, 5_000, frames: 2));
        Reason(TinyFiles.Png(5_000, 5_000, frames: 2, isStillApart: true)).ShouldContain("75000000");
        Facts(TinyFiles.Png(10_000, 5_000));
        Reason(TinyFiles.Png(10_000, 5_001)).ShouldContain("50000000");
    }

    [Fact]
    public void Impossible_sizes_are_refused()
    {
        Reason(TinyFiles.Png(0, 2)).ShouldContain("impossible");
        Reason(TinyFiles.Png(-1, 2)).ShouldContain("impossible");
        Reason(TinyFiles.Jpeg(3, 0)).ShouldContain("impossible");
        Reason(TinyFiles.Gif(0, 0)).ShouldContain("impossible");
        Reason(TinyFiles.WebpLossy(0, 2)).ShouldContain("impossible");
        Reason(TinyFiles.Avif(0, 2)).ShouldContain("impossible");
        Reason(TinyFiles.WebpExtended(innerWidth: 30_000)).ShouldContain("disagree");
        Reason(TinyFiles.WebpAnimated(3, 2, 5, innerWidth: 16_000)).ShouldContain("disagree");
    }

    [Fact]
    public void Too_many_bytes_are_refused()
    {
        byte[] large = [.. TinyFiles.Jpeg(), .. new byte[ImageLimits.BytesMax]];

        Reason(large).ShouldContain("26214400");
        Facts(large.AsSpan(0, ImageLimits.BytesMax));
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("just a text named .jpg", "text")]
    [InlineData("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG")]
    [InlineData("<?xml version='1.0'?>\n<!-- x --><svg/>", "SVG")]
    [InlineData("\uFEFF  <!DOCTYPE html><html></html>", "HTML")]
    [InlineData("%PDF-1.7", "PDF")]
    [InlineData("BM\0\0\0\0", "something else")]
    [InlineData("RIFF\u0004\0\0\0WAVE", "something else")]
    [InlineData("\0\0\0\u0018ftypmp42\0\0\0\0mp42isom", "something else")]
    [InlineData("\0\0\0\u0018ftypheic\0\0\0\0mif1heic", "something else")]
    public void What_is_no_picture_is_refused_by_name(string content, string expected) =>
        Reason(Encoding.UTF8.GetBytes(content)).ShouldContain(expected);

    [Fact]
    public void Bytes_behind_the_end_pass_where_cameras_write_them_and_nowhere_else()
    {
        Facts([.. TinyFiles.Jpeg(), .. "a film"u8]);
        Reason([.. TinyFiles.Png(), .. "<script>"u8]).ShouldContain("8 bytes behind");
    }

    [Fact]
    public void Structures_that_decoders_choke_on_are_refused()
    {
        Reason(TinyFiles.Jpeg(scans: 501)).ShouldContain("500 scans");
        Reason(TinyFiles.Jpeg(frame: 0xC3)).ShouldContain("browsers");
        Reason(TinyFiles.Gif(frames: 0)).ShouldContain("without pixels");
        var png = TinyFiles.Png();
        png[20] ^= 1; // within the width, so that the header's CRC no longer fits
        Reason(png).ShouldContain("damaged");
    }

    [Fact]
    public void Random_damage_never_throws_and_takes_no_long_time()
    {
        // CA5394: the damage has to be the same on every run.
#pragma warning disable CA5394
        var random = new Random(20_260_101);
        foreach (var (name, valid) in Valid)
        {
            for (var round = 0; round < 20_000; round++)
            {
                var file = valid.ToArray();
                for (var change = random.Next(1, 6); change > 0; change--)
                    file[random.Next(file.Length)] = random.Next(3) switch
                    {
                        0 => (byte)random.Next(256),
                        1 => 0xFF,
                        _ => 0,
                    };
                var end = random.Next(4) == 0 ? random.Next(file.Length) : file.Length;

                var verdict = ImageSniffer.Inspect(file.AsSpan(0, end), Limits);

                if (verdict is ImageFacts facts)
                    ((long)facts.Width * facts.Height * facts.Frames).ShouldBeInRange(1, Limits.Pixels, name);
            }
        }
#pragma warning restore CA5394
    }

    private static ImageFacts Facts(ReadOnlySpan<byte> file)
    {
        var verdict = ImageSniffer.Inspect(file, Limits);
        return verdict.ShouldBeOfType<ImageFacts>((verdict as ImageRefusal)?.Reason);
    }

    private static string Reason(ReadOnlySpan<byte> file) =>
        ImageSniffer.Inspect(file, Limits).ShouldBeOfType<ImageRefusal>().Reason;
}
