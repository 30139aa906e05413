using System.CommandLine;
using System.Globalization;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Which dead letters are meant. What is given has to hold all at once.</summary>
/// <param name="Ids">Message ids; empty for any.</param>
/// <param name="Group">A group's id, as <c>list</c> prints it.</param>
/// <param name="Project">The project.</param>
/// <param name="Queue">A dead-letter queue, or the queue that it belongs to.</param>
/// <param name="Type">The message's type.</param>
/// <param name="OlderThan">Failed longer ago.</param>
/// <param name="NewerThan">Failed less long ago.</param>
internal sealed record LetterSelection(
    IReadOnlySet<string> Ids,
    string? Group,
    Guid? Project,
    string? Queue,
    string? Type,
    TimeSpan? OlderThan,
    TimeSpan? NewerThan
)
{
    /// <summary>True where nothing narrows it.</summary>
    public bool IsEverything =>
        Ids.Count == 0
        && Group is null
        && Project is null
        && Queue is null
        && Type is null
        && OlderThan is null
        && NewerThan is null;

    /// <param name="letter">A dead letter.</param>
    /// <param name="now">UTC. A letter whose time is unknown is neither older nor newer than anything.</param>
    public bool Takes(DeadLetter letter, DateTimeOffset now) =>
        (Ids.Count == 0 || (letter.MessageId is { } id && Ids.Contains(id)) || Ids.Contains($"{letter.CommandId}"))
        && (Group is null || LetterGroup.IdOf(letter) == Group)
        && (Project is null || letter.ProjectId == Project)
        && (Type is null || letter.Type == Type)
        && (OlderThan is null || letter.FailedAt <= now - OlderThan)
        && (NewerThan is null || letter.FailedAt > now - NewerThan);
}

/// <summary>The options by which every verb of the dead letters selects.</summary>
internal sealed class SelectionOptions
{
    private readonly Argument<string[]> _ids = new("ID")
    {
        Description = "Message ids (the command ids).",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> _group = new("--group") { Description = "A group, as list prints it." };
    private readonly Option<Guid?> _project = SharedOptions.Id("--project", "Only of this project.");

    private readonly Option<string?> _queue = new("--queue")
    {
        Description =
            "Only of this queue, such as import-image, or this dead-letter queue, such as import-image_parked.",
    };

    private readonly Option<string?> _type = new("--type")
    {
        Description = "Only messages of this type, such as save-image.",
    };
    private readonly Option<TimeSpan?> _older = Age(
        "--older-than",
        "Failed longer ago than this, such as 90s, 15m, 2h, 3d."
    );
    private readonly Option<TimeSpan?> _newer = Age("--newer-than", "Failed less long ago than this.");
    private readonly Option<bool> _all = new("--all") { Description = "All of them, but for parked ones." };

    public IEnumerable<Symbol> Symbols => [_ids, _group, _project, _queue, _type, _older, _newer, _all];

    /// <summary>Those of a verb that only looks: without <c>--all</c>, since nothing narrows it by itself.</summary>
    public IEnumerable<Symbol> LookingSymbols => Symbols.Where(x => x != _all);

    public LetterSelection Read(ParseResult parsed) =>
        new(
            (parsed.GetValue(_ids) ?? []).ToHashSet(StringComparer.OrdinalIgnoreCase),
            parsed.GetValue(_group),
            parsed.GetValue(_project),
            parsed.GetValue(_queue),
            parsed.GetValue(_type),
            parsed.GetValue(_older),
            parsed.GetValue(_newer)
        );

    /// <exception cref="UsageException">Nothing narrows it, and <c>--all</c> was not said either.</exception>
    public LetterSelection ReadDeliberate(ParseResult parsed)
    {
        var selection = Read(parsed);
        return selection.IsEverything && !parsed.GetValue(_all)
            ? throw new UsageException(
                "Say which: message ids, --group, --project, --queue, --type, --older-than, --newer-than, or --all."
            )
            : selection;
    }

    private static Option<TimeSpan?> Age(string name, string help) =>
        new(name)
        {
            Description = help,
            HelpName = "AGE",
            CustomParser = result =>
            {
                if (result.Tokens is [{ Value: var text }] && ParseAge(text) is { } age)
                    return age;
                result.AddError($"{name} must be a number with s, m, h or d, such as 15m.");
                return null;
            },
        };

    private static TimeSpan? ParseAge(string text) =>
        text.Length > 1
        && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
        && number is > 0 and < 36_500
            ? text[^1] switch
            {
                's' => TimeSpan.FromSeconds(number),
                'm' => TimeSpan.FromMinutes(number),
                'h' => TimeSpan.FromHours(number),
                'd' => TimeSpan.FromDays(number),
                _ => null,
            }
            : null;
}
