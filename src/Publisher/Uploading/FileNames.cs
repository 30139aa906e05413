namespace Pipeline.Publisher.Uploading;

/// <summary>Names that files come with. They never become part of a key; they name the file in answers and derive its id.</summary>
internal static class FileNames
{
    /// <summary>The longest name that file systems take, in characters.</summary>
    public const int Length = 255;

    /// <returns>Null, or the rule that is broken.</returns>
    public static string? Refuse(string? name) =>
        name switch
        {
            null or "" => "must not be empty",
            { Length: > Length } => $"must have at most {Length} characters",
            "." or ".." => "must be the name of a file",
            // Whoever sends a path expects it to be followed somewhere.
            _ when name.AsSpan().IndexOfAny('/', '\\') >= 0 => "must be a name without a path",
            _ when name.Any(char.IsControl) => "must not contain control characters",
            _ => null,
        };
}
