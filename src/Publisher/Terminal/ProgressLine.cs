namespace Pipeline.Publisher.Terminal;

/// <summary>One line on stderr that tells how far the work is: in place on a terminal, otherwise a plain line a second.</summary>
/// <remarks>Not safe for concurrent callers: one loop reports.</remarks>
internal sealed class ProgressLine(Screen screen, TimeProvider clock)
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(1);

    private string _shown = "";
    private long? _shownAt;

    public async Task ShowAsync(string text)
    {
        if (text == _shown)
            return;
        if (screen.Repaints)
            await screen.Error.WriteAsync($"\r{text}\u001b[K");
        else if (_shownAt is { } at && clock.GetElapsedTime(at) < PlainInterval)
            return;
        else
            await screen.Error.WriteLineAsync(text);
        _shown = text;
        _shownAt = clock.GetTimestamp();
    }

    /// <summary>Shows the last state, whenever the one before was, and leaves the line.</summary>
    public async Task EndAsync(string text)
    {
        if (screen.Repaints)
            await screen.Error.WriteLineAsync($"\r{text}\u001b[K");
        else if (text != _shown)
            await screen.Error.WriteLineAsync(text);
        _shown = text;
    }
}
