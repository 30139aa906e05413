using System.CommandLine;
using System.Globalization;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>How fast letters may go, evenly: a run that was held up does not catch up.</summary>
/// <param name="perSecond">Null for as fast as the broker confirms.</param>
/// <param name="clock">Tells and waits.</param>
internal sealed class Pace(double? perSecond, TimeProvider clock)
{
    // Letters on their way at once: enough that a confirm's round trip does not matter.
    private const int ChunkLimit = 100;

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(250);

    private long? _last;

    /// <summary>How many may go at once.</summary>
    public int Chunk => perSecond is { } rate ? Math.Clamp((int)(rate * Step.TotalSeconds), 1, ChunkLimit) : ChunkLimit;

    /// <summary>Waits until so many may go.</summary>
    public async Task WaitAsync(int letters, CancellationToken cancellation)
    {
        if (perSecond is { } rate && _last is { } last)
        {
            var pause = TimeSpan.FromSeconds(letters / rate) - clock.GetElapsedTime(last);
            if (pause > TimeSpan.Zero)
                await Task.Delay(pause, clock, cancellation);
        }

        _last = clock.GetTimestamp();
    }

    public static Option<double?> Option() =>
        new("--rate")
        {
            Description = "At most so many, such as 50/s or 300/m; otherwise as fast as the broker confirms.",
            HelpName = "N/s",
            CustomParser = result =>
            {
                if (result.Tokens is [{ Value: var text }] && Parse(text) is { } rate)
                    return rate;
                result.AddError("--rate must be 0.1 or more a second or a minute, such as 50/s or 300/m.");
                return null;
            },
        };

    private static double? Parse(string text)
    {
        var (number, unit) = text.Split('/') switch
        {
            [var n] => (n, "s"),
            [var n, var u] => (n, u),
            _ => ("", ""),
        };
        return
            double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var rate)
            && rate is >= 0.1 and <= 1_000_000 // With longer pauses the broker would take the letter back.
            ? unit switch
            {
                "s" => rate,
                "m" => rate / 60,
                _ => null,
            }
            : null;
    }
}
