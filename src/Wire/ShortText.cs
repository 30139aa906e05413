namespace Pipeline.Wire;

/// <summary>Texts that are cut to a length.</summary>
public static class ShortText
{
    /// <summary>
    /// The beginning of a text. It never ends within a surrogate pair: half of one is no text, and the database refuses
    /// it.
    /// </summary>
    /// <param name="text">Valid Unicode.</param>
    /// <param name="length">UTF-16 characters, 1 or more.</param>
    /// <returns>At most so many characters.</returns>
    public static string Cut(string text, int length)
    {
        if (text.Length <= length)
            return text;
        return char.IsHighSurrogate(text[length - 1]) ? text[..(length - 1)] : text[..length];
    }
}
