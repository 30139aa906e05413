using System.Runtime.InteropServices;

namespace Pipeline.Workers.Imaging;

/// <summary>A colour of 8 bits a channel.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Colour(byte Red, byte Green, byte Blue)
{
    /// <summary>The colour between two, in 256 steps: 0 is <paramref name="from"/>, 256 is <paramref name="to"/>.</summary>
    public static Colour Between(Colour from, Colour to, int step) =>
        new(Mix(from.Red, to.Red, step), Mix(from.Green, to.Green, step), Mix(from.Blue, to.Blue, step));

    private static byte Mix(int from, int to, int step) => (byte)(from + ((to - from) * step >> 8));
}

/// <summary>RGB pixels and the few shapes that the offline painter needs. All in integers, so that it is alike everywhere.</summary>
internal sealed class Canvas(int width, int height)
{
    private readonly byte[] _rgb = new byte[width * height * 3];

    public int Width => width;

    public int Height => height;

    public ReadOnlySpan<byte> Rgb => _rgb;

    /// <summary>Fills the canvas, from one colour at its top to another at its bottom.</summary>
    public void Gradient(Colour top, Colour bottom)
    {
        for (var y = 0; y < height; y++)
            Row(0, width, y, Colour.Between(top, bottom, y * 256 / height));
    }

    /// <summary>One row of a shape; what lies outside the canvas is left out.</summary>
    public void Row(int left, int right, int y, Colour colour)
    {
        if (y < 0 || y >= height)
            return;
        for (var x = Math.Max(left, 0); x < Math.Min(right, width); x++)
            Set(x, y, colour);
    }

    public void Rectangle(int left, int top, int right, int bottom, Colour colour)
    {
        for (var y = top; y < bottom; y++)
            Row(left, right, y, colour);
    }

    public void Disc(int centreX, int centreY, int radius, Colour colour)
    {
        var half = radius; // Half of the row's width; it shrinks from row to row.
        for (var dy = 0; dy <= radius; dy++)
        {
            while (half > 0 && half * half + dy * dy > radius * radius)
                half--;
            Row(centreX - half, centreX + half + 1, centreY - dy, colour);
            Row(centreX - half, centreX + half + 1, centreY + dy, colour);
        }
    }

    /// <summary>Fills everything below a line of hills.</summary>
    /// <param name="tops">For each column the row where it begins.</param>
    /// <param name="high">Colour of the hills' tops.</param>
    /// <param name="low">Colour at the bottom of the canvas.</param>
    public void Hills(int[] tops, Colour high, Colour low)
    {
        var first = Math.Max(tops.Min(), 0);
        for (var y = first; y < height; y++)
        {
            var colour = Colour.Between(high, low, (y - first) * 256 / (height - first));
            for (var x = 0; x < width; x++)
                if (y >= tops[x])
                    Set(x, y, colour);
        }
    }

    public void Text(string text, int left, int top, int scale, Colour colour)
    {
        for (var index = 0; index < text.Length; index++)
        for (var y = 0; y < TinyFont.Height; y++)
        for (var x = 0; x < TinyFont.Width; x++)
        {
            if (!TinyFont.HasInk(text[index], x, y))
                continue;
            var pixel = left + (index * (TinyFont.Width + 1) + x) * scale;
            Rectangle(pixel, top + y * scale, pixel + scale, top + (y + 1) * scale, colour);
        }
    }

    private void Set(int x, int y, Colour colour)
    {
        var at = (y * width + x) * 3;
        _rgb[at] = colour.Red;
        _rgb[at + 1] = colour.Green;
        _rgb[at + 2] = colour.Blue;
    }
}
