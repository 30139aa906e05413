using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>The checkout that these tests were built from.</summary>
internal static partial class SourceTree
{
    public static string Root { get; } = FindRoot();

    /// <summary>C# files below a folder, relative to the root, without what the build makes.</summary>
    public static IEnumerable<string> Files(string folder) =>
        Directory
            .EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
            .Select(x => Path.GetRelativePath(Root, x).Replace('\\', '/'))
            .Where(x => !x.Contains("/obj/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    public static string Read(string file) => File.ReadAllText(Path.Combine(Root, file));

    public static string[] Lines(string file) => File.ReadAllLines(Path.Combine(Root, file));

    /// <summary>The code alone: a message or a comment may name what the code must not use.</summary>
    public static string Code(string file) => CommentOrText().Replace(Read(file), "");

    private static string FindRoot([CallerFilePath] string thisFile = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(thisFile)!, "..", "..", ".."));

    [GeneratedRegex(
        "\"{3}[\\s\\S]*?\"{3}|\"(\\\\.|[^\"\\\\\n])*\"|'(\\\\.|[^'\\\\\n])'|//[^\n]*",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000
    )]
    private static partial Regex CommentOrText();
}
