using System.Security.Cryptography;
using System.Text;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Dead letters that have something in common.</summary>
/// <param name="id">By which <c>--group</c> selects them; null where the group is not one of type and cause.</param>
/// <param name="key">What they have in common.</param>
internal sealed class LetterGroup(string? id, string key)
{
    private readonly HashSet<Guid> _projects = [];
    private readonly SortedSet<string> _queues = new(StringComparer.Ordinal);

    public string? Id { get; } = id;

    public string Key { get; } = key;

    public int Count { get; private set; }

    public int Projects => _projects.Count;

    /// <summary>Families of queues: all lanes are one.</summary>
    public IReadOnlyCollection<string> Queues => _queues;

    public DateTimeOffset? Oldest { get; private set; }

    public DateTimeOffset? Newest { get; private set; }

    /// <summary>Messages of one type that failed for one cause, in whatever queue: what one mending mends.</summary>
    public static string KeyOf(DeadLetter letter) => $"{letter.Type ?? "unknown type"}: {letter.Cause}";

    /// <summary>Ten hexadecimal digits that follow from the key alone, so that they are the same tomorrow.</summary>
    public static string IdOf(DeadLetter letter) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(KeyOf(letter))))[..10];

    public void Add(DeadLetter letter)
    {
        Count++;
        _queues.Add(QueueNames.Family(letter.Queue));
        if (letter.ProjectId is { } project)
            _projects.Add(project);
        if (letter.FailedAt is not { } at)
            return;
        Oldest = Oldest is { } oldest && oldest < at ? oldest : at;
        Newest = Newest is { } newest && newest > at ? newest : at;
    }
}

/// <summary>Counts dead letters by what they have in common.</summary>
internal sealed class LetterGroups(string by, DateTimeOffset now)
{
    public const string ByCause = "cause";

    /// <summary>What one can group by.</summary>
    public static readonly string[] Dimensions = [ByCause, "queue", "type", "exception", "project", "age"];

    private static readonly (TimeSpan Limit, string Name)[] Ages =
    [
        (TimeSpan.FromMinutes(10), "up to 10 minutes"),
        (TimeSpan.FromHours(1), "up to an hour"),
        (TimeSpan.FromDays(1), "up to a day"),
        (TimeSpan.FromDays(7), "up to a week"),
        (TimeSpan.MaxValue, "longer"),
    ];

    private readonly Dictionary<string, LetterGroup> _groups = new(StringComparer.Ordinal);

    /// <summary>The largest first.</summary>
    public IEnumerable<LetterGroup> Groups =>
        _groups.Values.OrderByDescending(x => x.Count).ThenBy(x => x.Key, StringComparer.Ordinal);

    public int Count { get; private set; }

    public void Add(DeadLetter letter)
    {
        var key = by switch
        {
            ByCause => LetterGroup.KeyOf(letter),
            "queue" => letter.Queue,
            "type" => letter.Type ?? "unknown",
            "exception" => letter.Exception,
            "project" => letter.ProjectId?.ToString() ?? "none",
            "age" => letter.FailedAt is { } at ? Ages.First(x => now - at <= x.Limit).Name : "unknown",
            _ => throw new ArgumentOutOfRangeException(nameof(letter), by, "No such dimension."),
        };
        if (!_groups.TryGetValue(key, out var group))
            _groups[key] = group = new LetterGroup(by == ByCause ? LetterGroup.IdOf(letter) : null, key);
        group.Add(letter);
        Count++;
    }
}
