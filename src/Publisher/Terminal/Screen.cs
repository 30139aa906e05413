using System.Text.Json;
using Pipeline.Wire;

namespace Pipeline.Publisher.Terminal;

/// <summary>Where a verb writes: results to stdout, everything else to stderr.</summary>
/// <param name="Out">For results, so that they can be piped.</param>
/// <param name="Error">For progress, warnings and errors.</param>
/// <param name="Json">Results are JSON, one object a line.</param>
/// <param name="Repaints">Error is a terminal that obeys control sequences.</param>
internal sealed record Screen(TextWriter Out, TextWriter Error, bool Json, bool Repaints)
{
    public Task LineAsync(string text) => Out.WriteLineAsync(text);

    /// <summary>One JSON object on one line, written as messages are: camelCase, nulls included.</summary>
    public Task ObjectAsync<T>(T value) => Out.WriteLineAsync(JsonSerializer.Serialize(value, WireJson.Options));

    public Task NoteAsync(string text) => Error.WriteLineAsync(text);
}
