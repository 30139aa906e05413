using System.Runtime.CompilerServices;

namespace Pipeline.Workers.Tests;

/// <summary>
/// Compares with a file beside the test. A change shows as a diff; whoever means it runs the test once with
/// <c>PIPELINE_APPROVE=1</c> and commits the file.
/// </summary>
internal static class Approved
{
    public static void ShouldBeApproved(this string actual, string name, [CallerFilePath] string test = "")
    {
        var path = Path.Combine(Path.GetDirectoryName(test)!, $"{name}.approved.txt");
        if (Environment.GetEnvironmentVariable("PIPELINE_APPROVE") == "1")
            File.WriteAllText(path, actual);

        var wanted = File.Exists(path) ? File.ReadAllText(path) : "";
        if (wanted != actual)
            throw new NotApprovedException(Path.GetFileName(path), Difference(wanted.Split('\n'), actual.Split('\n')));
    }

    private static string Difference(string[] wanted, string[] actual)
    {
        var gone = wanted.Except(actual, StringComparer.Ordinal).Select(x => $"- {x}");
        var come = actual.Except(wanted, StringComparer.Ordinal).Select(x => $"+ {x}");
        var lines = gone.Concat(come).ToArray();
        return lines.Length == 0 ? "The same lines in another order." : string.Join('\n', lines);
    }
}

internal sealed class NotApprovedException(string file, string difference)
    : Exception($"{file} differs; is the change meant? Then run with PIPELINE_APPROVE=1.\n{difference}");
