using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Pipeline.Formats;
using Pipeline.Workers.Imaging;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Imaging;

public sealed class OfflinePainterTests
{
    private static readonly PaintRequest Kite = new("a red kite over the harbour, 日本 ü", "scene-1", 0, 0, 512, 512);

    [Fact]
    public void Same_request_is_the_same_file() => OfflinePainter.Paint(Kite).ShouldBe(OfflinePainter.Paint(Kite));

    [Fact]
    public void Prompt_slot_and_seed_each_change_the_picture()
    {
        PaintRequest[] requests =
        [
            Kite,
            Kite with
            {
                Prompt = "a dog",
            },
            Kite with
            {
                Slot = 1,
            },
            Kite with
            {
                Seed = 1,
            },
        ];

        requests
            .Select(x => Convert.ToHexString(SHA256.HashData(Pixels(x))))
            .Distinct(StringComparer.Ordinal)
            .Count()
            .ShouldBe(4);
    }

    [Fact]
    public void Pixels_are_the_same_on_every_machine() =>
        Convert
            .ToHexStringLower(SHA256.HashData(Pixels(Kite)))
            .ShouldBe("dab92b137956c7c39f1024dbbe9e6e651645cd9aedb7b0c1cc33c17084aab633");

    [Theory]
    [InlineData(64, 64)]
    [InlineData(512, 512)]
    [InlineData(65, 701)]
    [InlineData(1_024, 300)]
    public void File_is_a_picture_of_the_size_asked_for(int width, int height)
    {
        var file = OfflinePainter.Paint(Kite with { Width = width, Height = height });

        ImageSniffer.Inspect(file, new ImageLimits()).ShouldBe(new ImageFacts(ImageFormat.Png, width, height));
        Unfilter(file, width).Length.ShouldBe(width * height * 3);
    }

    [Fact]
    public void File_says_who_painted_it_and_what()
    {
        var text = Encoding.Latin1.GetString(OfflinePainter.Paint(Kite));

        text.ShouldContain("tEXtSoftware\0offline painter");
        text.ShouldContain("tEXtDescription\0a red kite over the harbour, ?? ü");
    }

    [Fact]
    public void Label_stands_on_the_picture()
    {
        var one = Pixels(Kite);
        var other = Pixels(Kite with { Label = "scene-2" });

        var changed = Enumerable.Range(0, one.Length).Where(x => one[x] != other[x]).Select(x => x / 3 / 512).ToList();

        changed.ShouldNotBeEmpty();
        changed.ShouldAllBe(row => row > 440);
    }

    [Theory]
    [InlineData(63, 512)]
    [InlineData(512, 4_097)]
    public void Size_out_of_range_is_refused(int width, int height) =>
        Should.Throw<ArgumentException>(() => OfflinePainter.Paint(Kite with { Width = width, Height = height }));

    private static byte[] Pixels(PaintRequest request) => Unfilter(OfflinePainter.Paint(request), request.Width);

    /// <summary>Decodes what PngWriter writes: one IDAT chunk, every row filtered against the one above.</summary>
    private static byte[] Unfilter(byte[] file, int width)
    {
        var start = file.AsSpan().IndexOf("IDAT"u8) + 4;
        using var zlib = new ZLibStream(new MemoryStream(file[start..^16]), CompressionMode.Decompress);
        using var filtered = new MemoryStream();
        zlib.CopyTo(filtered);

        var above = new byte[width * 3];
        var pixels = new List<byte>();
        foreach (var line in filtered.ToArray().Chunk(1 + above.Length))
        {
            line[0].ShouldBe((byte)2);
            for (var x = 0; x < above.Length; x++)
                above[x] += line[x + 1];
            pixels.AddRange(above);
        }

        return [.. pixels];
    }
}
