using System.Text.RegularExpressions;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>The house rules that a text search can hold.</summary>
public sealed partial class StyleTests
{
    private const int LineWidth = 120;

    private const int FileLength = 200;

    private static readonly string[] Folders = ["src", "tests"];

    private static readonly Dictionary<string, string> LongFiles = new(StringComparer.Ordinal)
    {
        ["src/Publisher/DeadLetters/DeskPass.cs"] = "one pass over a queue: what it takes, gives back and answers",
        ["src/Workers/Saving/SaveImageHandler.cs"] = "one decision, with the reads that it needs",
        ["tests/System.Tests/Harness/Stack.cs"] = "the one place that a test asks for its servers",
        ["src/Wire/ConfirmChannel.cs"] =
            "one mechanism: the channel, its sequence numbers and its end share their state",
        ["src/Workers/Importing/ImportLedger.cs"] = "the statements of one table and their one reader",
        ["src/Workers/Generation/GenerationDesk.cs"] = "what the transitions do, in the order of the state machine",
        ["src/Workers/Generation/GenerationStateMachine.cs"] = "the whole table, every event in every state",
        ["src/Workers/Generation/TargetLedger.cs"] = "one table with its receipts and events, in one transaction",
        ["src/Workers/Lanes/LaneWriter.cs"] = "one transaction, read from top to bottom",
        ["src/Workers/Storage/S3ImageStore.cs"] = "one seam, one implementation",
        ["src/Workers/Urls/UrlLedger.cs"] = "one transaction, read from top to bottom",
        ["tests/Publisher.Tests/"] = "tables of cases",
        ["tests/System.Tests/BadInputTests.cs"] = "a table of cases",
        ["tests/Workers.Tests/"] = "tables of cases",
    };

    // Tests wait for a fact in a loop with a deadline; a sleep of its own is a guess about a machine.
    private static readonly Dictionary<string, string> Waits = new(StringComparer.Ordinal)
    {
        ["tests/System.Tests/Harness/Stack.cs"] = "UntilAsync",
        ["tests/System.Tests/Harness/BrokerManagement.cs"] =
            "CloseConnectionAsync asks again, a bounded number of times",
        ["tests/System.Tests/Harness/VirtualHosts.cs"] = "a loop with a deadline: the broker lists connections late",
        ["tests/Workers.Tests/Until.cs"] = "the same for the workers' tests",
        ["tests/Workers.Tests/Harness/"] = "loops with a deadline",
        ["tests/Workers.Tests/Rendering/"] = "loops with a deadline, and a stub that answers slowly",
        ["tests/Workers.Tests/Fetching/"] = "a stub that answers slowly",
        ["tests/Workers.Tests/Importing/"] = "loops with a deadline, and a stub that answers slowly",
        ["tests/Workers.Tests/Webhooks/"] = "a receiver that never answers",
        ["tests/Workers.Tests/Storage/ImageStoreConformance.cs"] = "a presigned URL has to expire",
        ["tests/Publisher.Tests/"] = "loops with a deadline: the broker lists connections late",
    };

    // Containers for whatever has no name yet. "Status" and "Failures" say what is inside; these do not.
    private static readonly string[] WordsNotUsed =
    [
        "Manager",
        "Helper",
        "Util",
        "Utils",
        "Common",
        "Infrastructure",
        "Service",
        "Data",
        "Info",
    ];

    [Fact]
    public void Lines_have_at_most_120_columns()
    {
        var wide = from file in Files() from line in Wide(file) select $"{file}:{line}";

        wide.ShouldBeEmpty();
    }

    [Fact]
    public void Files_have_at_most_200_lines()
    {
        var large =
            from file in Files()
            let length = SourceTree.Lines(file).Length
            where length > FileLength && !IsListed(LongFiles, file)
            select $"{file} has {length} lines";

        large.ShouldBeEmpty();
    }

    /// <summary>A lock's key that somebody else chooses may be another's: there is one place that knows all uses.</summary>
    [Fact]
    public void Advisory_locks_are_taken_in_one_place() =>
        SourceTree
            .Files("src")
            .Where(x => AdvisoryFunction().IsMatch(SourceTree.Read(x)))
            .ShouldBe(["src/Workers/Persistence/AdvisoryLock.cs"]);

    [Fact]
    public void Nothing_is_left_to_do_in_a_comment() =>
        Files().Where(x => Unfinished().IsMatch(SourceTree.Read(x)) && !IsThis(x)).ShouldBeEmpty();

    [Fact]
    public void Time_comes_from_a_clock_that_is_handed_in()
    {
        var astray =
            from file in Files()
            let pattern = file.StartsWith("src/", StringComparison.Ordinal) ? AnyClock() : LocalClock()
            where pattern.IsMatch(SourceTree.Code(file))
            select file;

        astray.ShouldBeEmpty();
    }

    [Fact]
    public void Tests_wait_for_facts() =>
        SourceTree
            .Files("tests")
            .Where(x => SourceTree.Code(x).Contains("Task.Delay", StringComparison.Ordinal))
            .Where(x => !IsListed(Waits, x))
            .ShouldBeEmpty();

    [Fact]
    public void Names_say_what_is_inside()
    {
        var empty =
            from file in Files()
            from word in Word().Matches(Path.GetFileNameWithoutExtension(file)).Select(x => x.Value)
            where WordsNotUsed.Contains(word)
            select $"{file}: '{word}'";

        empty.ShouldBeEmpty();
    }

    private static IEnumerable<string> Files() => Folders.SelectMany(SourceTree.Files);

    private static bool IsThis(string file) => file.EndsWith("/StyleTests.cs", StringComparison.Ordinal);

    private static bool IsListed(Dictionary<string, string> exceptions, string file) =>
        exceptions.Keys.Any(x => file == x || (x.EndsWith('/') && file.StartsWith(x, StringComparison.Ordinal)));

    /// <summary>
    /// Numbers of the lines that are too wide. The tags of a doc comment are not read, and a sentence to a person is
    /// not broken for a column's sake: neither they nor the insides of texts count.
    /// </summary>
    private static IEnumerable<int> Wide(string file)
    {
        var lines = SourceTree.Lines(file);
        var isText = false;
        for (var i = 0; i < lines.Length; i++)
        {
            var marks = RawQuotes().Count(lines[i]);
            var read = lines[i].TrimStart().StartsWith("///", StringComparison.Ordinal)
                ? Tag().Replace(lines[i], "")
                : Text().Replace(lines[i], "");
            if (read.Length > LineWidth && !isText && marks == 0)
                yield return i + 1;
            isText ^= marks % 2 == 1;
        }
    }

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|XXX)\b", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"\bDateTime(Offset)?\.(Utc)?(Now|Today)\b|\bThread\.Sleep\b", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex AnyClock();

    // A test may bound its own waiting with the real clock.
    [GeneratedRegex(@"\bDateTime\.(Utc)?(Now|Today)\b|\bThread\.Sleep\b", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex LocalClock();

    [GeneratedRegex("[A-Z][a-z]*", RegexOptions.None, 5000)]
    private static partial Regex Word();

    [GeneratedRegex("<[^>]*>", RegexOptions.None, 5000)]
    private static partial Regex Tag();

    [GeneratedRegex("\"(\\\\.|[^\"\\\\])*\"", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Text();

    [GeneratedRegex("\"{3,}", RegexOptions.None, 5000)]
    private static partial Regex RawQuotes();

    [GeneratedRegex("pg_(try_)?advisory", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, 5000)]
    private static partial Regex AdvisoryFunction();
}
