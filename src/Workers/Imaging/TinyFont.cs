namespace Pipeline.Workers.Imaging;

/// <summary>Capital letters, digits and a little punctuation, three pixels wide and five high.</summary>
internal static class TinyFont
{
    public const int Width = 3;
    public const int Height = 5;

    // Five octal digits a glyph, one a row from the top; a digit's three bits are the row's pixels from the left.
    private const string Glyphs =
        "A25755 B65656 C34443 D65556 E74647 F74644 G34553 H55755 I72227 J11152 K55655 L44447 M57755 N65555 O25552 "
        + "P65644 Q25563 R65655 S34216 T72222 U55557 V55552 W55775 X55255 Y55222 Z71247 "
        + "075557 126227 261247 361216 455711 574616 634757 771222 875757 975716 "
        + "-00700 .00002 :02020 ,00024 /11244 #57575 !22202 '22000 _00007 +02720 (24442 )21112";

    private const string Unknown = "61202"; // a question mark

    private static readonly Dictionary<char, string> Rows = Glyphs.Split(' ').ToDictionary(x => x[0], x => x[1..]);

    /// <summary>Whether the glyph has ink there. Small letters look like capitals, unknown ones like a question mark.</summary>
    /// <param name="character">What is written.</param>
    /// <param name="x">Column, 0 to 2.</param>
    /// <param name="y">Row, 0 to 4.</param>
    public static bool HasInk(char character, int x, int y)
    {
        if (character == ' ')
            return false;
        var rows = Rows.GetValueOrDefault(char.ToUpperInvariant(character), Unknown);
        return ((rows[y] - '0') >> (Width - 1 - x) & 1) == 1;
    }
}
