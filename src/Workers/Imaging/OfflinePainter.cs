using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Pipeline.Workers.Imaging;

/// <summary>What the offline painter is to paint.</summary>
/// <param name="Prompt">Decides the picture; also written into the file.</param>
/// <param name="Label">Written on the picture beside the painter's name, such as the scene's id.</param>
/// <param name="Slot">Another slot is another picture of the same prompt.</param>
/// <param name="Seed">Another seed is another picture, too.</param>
/// <param name="Width">Pixels, <see cref="OfflinePainter.EdgeMin"/> to <see cref="OfflinePainter.EdgeMax"/>.</param>
/// <param name="Height">Pixels, in the same range.</param>
internal sealed record PaintRequest(string Prompt, string Label, int Slot, long Seed, int Width, int Height);

/// <summary>
/// Paints a landscape that the prompt's hash decides, so that the pipeline runs with no account anywhere. It is no
/// image model: each picture says so. The same request is the same file, byte for byte, with the same .NET runtime.
/// </summary>
internal static class OfflinePainter
{
    public const string Name = "offline painter";
    public const int EdgeMin = 64;
    public const int EdgeMax = 4_096;

    private const int HillRows = 3;
    private const int Hues = 6 * 256; // a colour wheel in integers

    public static byte[] Paint(PaintRequest request)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(request.Width, EdgeMin, nameof(request));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(request.Width, EdgeMax, nameof(request));
        ArgumentOutOfRangeException.ThrowIfLessThan(request.Height, EdgeMin, nameof(request));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(request.Height, EdgeMax, nameof(request));

        var dice = new Dice($"{request.Seed}/{request.Slot}/{request.Prompt}");
        var canvas = new Canvas(request.Width, request.Height);
        PaintLandscape(canvas, dice);
        PaintLabel(canvas, $"{request.Label} / {request.Slot}");

        (string, string)[] texts = [("Software", Name), ("Description", request.Prompt), ("Title", request.Label)];
        return PngWriter.Write(request.Width, request.Height, canvas.Rgb, texts);
    }

    private static void PaintLandscape(Canvas canvas, Dice dice)
    {
        var edge = Math.Min(canvas.Width, canvas.Height);
        var hue = dice.Next(Hues);
        var night = dice.Next(4) == 0;
        canvas.Gradient(
            Shade(hue, night ? 60 : 210, night ? 160 : 110),
            Shade(hue + Hues / 5, night ? 120 : 250, night ? 120 : 70)
        );

        for (var star = night ? 60 : 0; star > 0; star--)
            canvas.Disc(dice.Next(canvas.Width), dice.Next(canvas.Height * 2 / 3), edge / 400, Shade(hue, 250, 20));

        var sun = edge / 12 + dice.Next(edge / 10);
        var (x, y) = (dice.Next(canvas.Width), canvas.Height / 8 + dice.Next(canvas.Height / 3));
        canvas.Disc(x, y, sun + sun / 8, Shade(hue + Hues / 6, night ? 150 : 255, 60));
        canvas.Disc(x, y, sun, Shade(hue + Hues / 6, 255, 30));

        for (var row = 0; row < HillRows; row++)
        {
            var light = (night ? 110 : 200) - row * 40;
            var tint = hue + Hues / 3 + row * Hues / 24;
            canvas.Hills(HillTops(canvas, dice, row), Shade(tint, light, 120), Shade(tint, light / 2, 150));
        }
    }

    /// <summary>A smooth line through random heights, lower from row to row.</summary>
    private static int[] HillTops(Canvas canvas, Dice dice, int row)
    {
        var step = Math.Max(canvas.Width / (3 + row), 1);
        var heights = new int[canvas.Width / step + 2];
        for (var index = 0; index < heights.Length; index++)
            heights[index] = canvas.Height * (45 + row * 15) / 100 + dice.Next(canvas.Height / 6);

        var tops = new int[canvas.Width];
        for (var x = 0; x < tops.Length; x++)
        {
            long t = x % step * 1_024 / step;
            var eased = t * t * (3 * 1_024 - 2 * t) >> 20; // smoothstep of t, in 1,024ths
            var (from, to) = (heights[x / step], heights[x / step + 1]);
            tops[x] = from + (int)((to - from) * eased >> 10);
        }

        return tops;
    }

    private static void PaintLabel(Canvas canvas, string label)
    {
        string[] lines = [Name.ToUpperInvariant(), label];
        var scale = Math.Max(1, canvas.Width / 160);
        var line = (TinyFont.Height + 3) * scale;
        var top = canvas.Height - lines.Length * line - scale;

        canvas.Rectangle(0, top - 2 * scale, canvas.Width, canvas.Height, new Colour(24, 24, 28));
        foreach (var text in lines)
        {
            canvas.Text(text, 3 * scale, top, scale, new Colour(245, 245, 240));
            top += line;
        }
    }

    /// <summary>A colour of the wheel.</summary>
    /// <param name="hue">Any number; the wheel has 1,536 steps from red over green and blue.</param>
    /// <param name="light">0 black to 255.</param>
    /// <param name="strength">0 grey to 255.</param>
    private static Colour Shade(int hue, int light, int strength)
    {
        return new Colour(Channel(2 * 256), Channel(0), Channel(4 * 256));

        byte Channel(int offset)
        {
            // A trapezoid round the wheel: 256 steps up, 512 full, 256 down, 512 nothing.
            var place = ((hue + offset) % Hues + Hues) % Hues;
            var full = Math.Clamp(Math.Min(place, 4 * 256 - place), 0, 255);
            return (byte)(light * (255 - strength + strength * full / 255) / 255);
        }
    }

    /// <summary>Numbers that a text decides: SHA-256 in counter mode, so alike on every platform.</summary>
    private sealed class Dice(string text)
    {
        private readonly byte[] _key = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        private uint _count;

        /// <summary>The next number, 0 to <paramref name="limit"/> less one.</summary>
        public int Next(int limit)
        {
            Span<byte> block = stackalloc byte[36];
            _key.CopyTo(block);
            BinaryPrimitives.WriteUInt32BigEndian(block[32..], _count++);
            var number = BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData(block));
            return (int)(number % (uint)Math.Max(limit, 1));
        }
    }
}
