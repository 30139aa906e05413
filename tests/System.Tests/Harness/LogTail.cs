using System.Collections.Concurrent;

namespace Pipeline.SystemTests.Harness;

/// <summary>The last lines that a worker has logged.</summary>
internal sealed class LogTail(string name)
{
    private const int Kept = 2000;
    private const int Shown = 60;

    private readonly ConcurrentQueue<string> _lines = new();

    public string All => string.Join('\n', _lines);

    /// <summary>For the message of a test that fails.</summary>
    public string End => $"--- {name}\n{string.Join('\n', _lines.Where(x => !IsNoise(x)).TakeLast(Shown))}";

    public void Add(string? line)
    {
        if (line is null)
            return;
        _lines.Enqueue(line);
        if (_lines.Count > Kept)
            _lines.TryDequeue(out _);
    }

    /// <summary>MassTransit's line for each delivery that a lost channel leaves unanswered.</summary>
    private static bool IsNoise(string line) =>
        line.Contains("T-FAULT", StringComparison.Ordinal) || line.Contains("R-CANCEL", StringComparison.Ordinal);
}
