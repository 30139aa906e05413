using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Pipeline.Wire.Schemas;

namespace Pipeline.SystemTests.Harness;

/// <summary>What a RabbitMQ user may do, as the file that every installation loads says it.</summary>
/// <param name="User"><c>workers</c>, <c>publisher</c> or <c>client</c>.</param>
/// <param name="Configure">Regular expression of what it may declare and delete.</param>
/// <param name="Write">Of what it may publish to, or bind to something.</param>
/// <param name="Read">Of what it may consume, or bind something to.</param>
internal sealed record BrokerUser(string User, string Configure, string Write, string Read)
{
    public static BrokerUser Of(string user)
    {
        var json = File.ReadAllText(Path.Combine(Repository.Root, "eng/docker/rabbitmq/permissions.json"));
        var users = JsonSerializer.Deserialize<BrokerUser[]>(json, JsonSerializerOptions.Web)!;
        return users.Single(x => x.User == user);
    }
}

/// <summary>Commands for everybody: all but those whose section in docs/messages.md says that they are for operators.</summary>
internal static partial class PublicCommands
{
    public static IReadOnlyList<string> Names { get; } = Read();

    private static string[] Read()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs/messages.md"));
        var operators = OperatorSection().Matches(page).Select(x => x.Groups["name"].Value);
        var commands = MessageCatalog.All.Where(x => x.IsCommand).Select(x => x.Name);
        return [.. commands.Except(operators, StringComparer.Ordinal)];
    }

    [GeneratedRegex("\n## (?<name>[a-z-]+)\n\nFor operators:", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OperatorSection();
}

/// <summary>The checkout that these tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    private static string FindRoot([CallerFilePath] string thisFile = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(thisFile)!, "..", "..", ".."));
}
