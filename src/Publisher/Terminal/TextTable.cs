namespace Pipeline.Publisher.Terminal;

/// <summary>Columns as wide as their widest cell, two spaces between them.</summary>
internal sealed class TextTable(params string[] headings)
{
    private readonly List<string[]> _rows = [];

    /// <summary>Characters of a cell that are shown: 120, unless what stands there is wanted whole.</summary>
    public int CellLimit { get; init; } = 120;

    /// <summary>A cell's control characters are shown as <c>?</c>, because a scene's id or a reason may hold anything.</summary>
    public void Add(params object?[] cells)
    {
        if (cells.Length != headings.Length)
            throw new ArgumentException($"{headings.Length} cells wanted, not {cells.Length}.", nameof(cells));
        _rows.Add([.. cells.Select(Text)]);
    }

    public IEnumerable<string> Lines()
    {
        var widths = headings
            .Select((heading, i) => _rows.Select(x => x[i].Length).Append(heading.Length).Max())
            .ToArray();
        return _rows
            .Prepend(headings)
            .Select(row => string.Join("  ", row.Select((x, i) => x.PadRight(widths[i]))).TrimEnd());
    }

    private string Text(object? cell)
    {
        var text = cell switch
        {
            null => "-",
            DateTimeOffset at => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'"),
            _ => cell.ToString() ?? "",
        };
        text = string.Concat(text.Select(x => char.IsControl(x) ? '?' : x));
        return text.Length <= CellLimit ? text : string.Concat(text.AsSpan(0, CellLimit - 1), "…");
    }
}
