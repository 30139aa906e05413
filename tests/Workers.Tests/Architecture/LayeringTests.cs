using System.Text.RegularExpressions;
using System.Xml.Linq;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>The arrows of docs/architecture.md, checked on the source text so that a broken one names its file.</summary>
public sealed partial class LayeringTests
{
    private const string Workers = "src/Workers/";

    // A room knows no slice, and only the rooms that stand here.
    private static readonly Dictionary<string, string[]> Rooms = new(StringComparer.Ordinal)
    {
        ["Persistence"] = [],
        ["Storage"] = ["Persistence"],
        ["Cdn"] = [],
        ["Imaging"] = [],
        ["Fetching"] = [],
        ["Models"] = [],
        ["Telemetry"] = [],
        ["Messaging"] = ["Persistence"],
        ["Commands"] = ["Persistence", "Messaging"],
        ["Lanes"] = ["Persistence", "Messaging", "Commands"],
    };

    // What several slices share.
    private const string Shared = "Images";

    // Slices with commands that change a project in its order, and what they share.
    private static readonly string[] WithLaneCommands = ["Saving", "Deleting", "Erasing", "Storyboards", Shared];

    // These put the parts together.
    private static readonly string[] Roots = ["Program.cs", "WorkerHost.cs", "Verbs.cs"];

    private static readonly Dictionary<string, string[]> Projects = new(StringComparer.Ordinal)
    {
        ["Contracts"] = [],
        ["Formats"] = [],
        ["Wire"] = ["Contracts"],
        ["Workers"] = ["Contracts", "Formats", "Wire"],
        ["Publisher"] = ["Contracts", "Formats", "Wire"],
    };

    // Everybody else publishes through ConfirmedPublisher and consumes through MassTransit.
    private static readonly string[] BrokerFolders =
    [
        "src/Wire/",
        "src/Workers/Messaging/",
        "src/Workers/Lanes/",
        "src/Workers/Commands/BrokerDeath.cs", // Reads what the broker writes into a header.
        "src/Publisher/DeadLetters/", // Looks into queues and puts things back, which no consumer of MassTransit does.
    ];

    private static readonly Dictionary<string, string> BrokerExceptions = new(StringComparer.Ordinal)
    {
        ["src/Workers/Verbs.cs"] = "says in one line that the broker cannot be reached",
        ["src/Publisher/Publishing/BrokerFailures.cs"] = "says in one line what the broker answered",
        ["src/Publisher/Serving/BrokerProbe.cs"] = "/health/ready asks whether the broker answers",
    };

    [Fact]
    public void Rooms_know_no_slice_and_slices_know_no_other_slice()
    {
        var folders = SourceTree
            .Files(Workers)
            .Select(Owner)
            .Distinct(StringComparer.Ordinal)
            .ToHashSet(StringComparer.Ordinal);

        var broken =
            from file in SourceTree.Files(Workers)
            from used in Mentioned(file, folders)
            where !MayUse(Owner(file), used)
            select $"{file} must not use {used}";

        broken.ShouldBeEmpty();
        folders.ShouldContain(x => x == "Saving"); // A check that finds no folder would find no broken arrow either.
    }

    [Fact]
    public void Publisher_does_not_know_the_workers() =>
        SourceTree
            .Files("src/Publisher")
            .Where(x => SourceTree.Code(x).Contains("Pipeline.Workers", StringComparison.Ordinal))
            .ShouldBeEmpty();

    [Fact]
    public void Projects_reference_what_stands_here_and_nothing_else()
    {
        foreach (var (project, allowed) in Projects)
            References(project, "ProjectReference").Select(Path.GetFileNameWithoutExtension).ShouldBe(allowed, project);

        var folders = Directory.GetDirectories(Path.Combine(SourceTree.Root, "src")).Select(x => Path.GetFileName(x)!);
        folders.ShouldBe(Projects.Keys, StringComparer.Ordinal, ignoreOrder: true);
    }

    [Theory]
    [InlineData("Contracts")]
    [InlineData("Formats")]
    public void Contracts_and_formats_depend_on_nothing_at_all(string project)
    {
        References(project, "PackageReference").ShouldBeEmpty();
        References(project, "FrameworkReference").ShouldBeEmpty();
    }

    [Fact]
    public void Only_these_folders_speak_with_the_broker_themselves()
    {
        var users = SourceTree
            .Files("src")
            .Where(x => !BrokerFolders.Any(folder => x.StartsWith(folder, StringComparison.Ordinal)))
            .Where(x => SourceTree.Code(x).Contains("RabbitMQ.Client", StringComparison.Ordinal));

        users.ShouldBe(BrokerExceptions.Keys, StringComparer.Ordinal, ignoreOrder: true);
    }

    private static bool MayUse(string owner, string used) =>
        used == "Lanes" && !Rooms.ContainsKey(owner)
            ? WithLaneCommands.Contains(owner) || Roots.Contains(owner)
            : MayUseAnyway(owner, used);

    private static bool MayUseAnyway(string owner, string used) =>
        owner == used
        || Roots.Contains(owner)
        || (Rooms.TryGetValue(owner, out var rooms) ? rooms.Contains(used) : Rooms.ContainsKey(used) || IsShared(used))
            && !(owner == Shared && IsShared(used));

    private static bool IsShared(string folder) => folder == Shared;

    /// <summary>By its full name, or by the short one that C# allows within <c>Pipeline.Workers</c>.</summary>
    private static IEnumerable<string> Mentioned(string file, HashSet<string> folders)
    {
        var code = SourceTree.Code(file);
        var full = FullName().Matches(code).Select(x => x.Groups["folder"].Value);
        var brief = ShortName().Matches(code).Select(x => x.Groups["folder"].Value);
        return full.Concat(brief).Where(folders.Contains).Distinct(StringComparer.Ordinal);
    }

    private static string Owner(string file) => file[Workers.Length..].Split('/')[0];

    private static string[] References(string project, string kind) =>
        [
            .. XDocument
                .Load(Path.Combine(SourceTree.Root, "src", project, $"{project}.csproj"))
                .Descendants(kind)
                .Select(x => x.Attribute("Include")!.Value),
        ];

    [GeneratedRegex(@"Pipeline\.Workers\.(?<folder>\w+)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex FullName();

    [GeneratedRegex(@"(?<![\w.])(?<folder>[A-Z]\w+)\.[A-Z]", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex ShortName();
}
