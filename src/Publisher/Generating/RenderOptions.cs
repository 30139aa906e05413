using System.CommandLine;
using System.Globalization;
using Pipeline.Contracts;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Generating;

/// <summary>The options that say how to render, and what they mean together.</summary>
internal sealed class RenderOptions
{
    public const int WaitSecondsMax = 86_400;

    /// <summary>Ten years: further off is a slip of the key.</summary>
    private const int DeadlineSecondsMax = 10 * 365 * 86_400;

    private readonly Option<string?> _model = new("--model")
    {
        Description = $"A model of the workers' configuration; {RenderWish.ModelDefault} by default.",
    };
    private readonly Option<int?> _width = Size("--width");
    private readonly Option<int?> _height = Size("--height");
    private readonly Option<string[]> _options = new("--option")
    {
        Description = "A setting of the model's own, such as quality=high; may be repeated.",
        HelpName = "NAME=VALUE",
    };
    private readonly Option<string?> _deadline = new("--deadline")
    {
        Description = "No attempt begins later: 2030-01-31T12:00:00Z, or from now +90s, +10m, +2h, +1d.",
        HelpName = "TIME",
    };
    private readonly Option<bool> _force = new("--force") { Description = "Render anew what was rendered before." };

    public IEnumerable<Option> All => [_model, _width, _height, _options, _deadline, _force];

    public Option<int?> Wait { get; } =
        SharedOptions.Number("--wait", "Wait so many seconds for the end.", 0, WaitSecondsMax);

    /// <param name="parsed">The command line.</param>
    /// <param name="known">What holds where the command line says nothing; null for the defaults.</param>
    /// <param name="now">What <c>+10m</c> counts from.</param>
    /// <exception cref="UsageException">An option has another form, or a value that cannot be right.</exception>
    public RenderWish Read(ParseResult parsed, RenderWish? known, DateTimeOffset now)
    {
        var model = parsed.GetValue(_model) ?? known?.Model ?? RenderWish.ModelDefault;
        // Settings are a model's own: another model may refuse them, or mean something else by them.
        var settings = model == known?.Model ? known.Options : null;
        var wish = new RenderWish(
            model,
            parsed.GetValue(_width) ?? known?.Width ?? RenderWish.SizeDefault,
            parsed.GetValue(_height) ?? known?.Height ?? RenderWish.SizeDefault,
            Settings(parsed.GetValue(_options) ?? []) ?? settings,
            parsed.GetValue(_deadline) is { } text ? Deadline(text, now) : null,
            parsed.GetValue(_force)
        );
        Usage.Require(GenerationRules.Wish(wish, now));
        return wish;
    }

    /// <exception cref="UsageException">Neither a moment with its offset nor a time from now.</exception>
    public static DateTimeOffset Deadline(string text, DateTimeOffset now)
    {
        if (text is ['+', .. var digits, var unit] && uint.TryParse(digits, NumberStyles.None, null, out var count))
        {
            var seconds = unit switch
            {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => 0,
            };
            if (seconds > 0 && (long)count * seconds <= DeadlineSecondsMax)
                return now.AddSeconds((long)count * seconds);
        }

        // Without an offset a moment would mean something else on each machine: it is read as UTC.
        return
            text is [>= '0' and <= '9', ..]
            && DateTimeOffset.TryParse(
                text,
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
                out var at
            )
            ? at
            : throw new UsageException(
                $"--deadline {text}: must be 2030-01-31T12:00:00Z, or a time from now such as +10m (s, m, h, d)."
            );
    }

    private static Dictionary<string, string>? Settings(string[] texts)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            var at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 1)
                throw new UsageException($"--option {text}: must be NAME=VALUE.");
            if (!settings.TryAdd(text[..at], text[(at + 1)..]))
                throw new UsageException($"--option {text[..at]} stands twice.");
        }

        return settings.Count == 0 ? null : settings;
    }

    private static Option<int?> Size(string name) =>
        SharedOptions.Number(name, $"Pixels; {RenderWish.SizeDefault} by default.", Limits.EdgeFirst, Limits.EdgeLast);
}

/// <summary>Turns problems into wrong usage.</summary>
internal static class Usage
{
    /// <exception cref="UsageException">There is a problem; all of them are told.</exception>
    public static void Require(IEnumerable<string> problems)
    {
        var all = string.Join("; ", problems);
        if (all.Length > 0)
            throw new UsageException($"{all}.");
    }
}
