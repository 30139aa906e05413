using System.Globalization;
using System.Text;

namespace Pipeline.Wire.Schemas;

/// <summary>Gathers what is wrong with a body, each with its path and its rule, and stops at a bound.</summary>
internal sealed class Violations
{
    /// <summary>A sender reads a few at a time; a body of 1 MiB could break thousands of rules.</summary>
    public const int Limit = 10;

    private readonly List<string> _found = [];
    private readonly List<string> _path = [];

    /// <summary>No more is looked for.</summary>
    public bool IsFull => _found.Count >= Limit;

    /// <summary>Each as <c>scenes[0].id: must have 1 to 100 characters.</c></summary>
    public IReadOnlyList<string> Found => _found;

    /// <param name="rule">A whole sentence without its subject, such as <c>must be 1 to 9.</c></param>
    public void Add(string rule)
    {
        if (!IsFull)
            _found.Add(_path.Count == 0 ? $"The body {rule}" : $"{Path()}: {rule}");
    }

    public void AddAt(string property, string rule)
    {
        Enter(property);
        Add(rule);
        Leave();
    }

    public void Enter(string property) => _path.Add(property);

    public void Enter(int index) => _path.Add(string.Create(CultureInfo.InvariantCulture, $"[{index}]"));

    public void Leave() => _path.RemoveAt(_path.Count - 1);

    private string Path()
    {
        var text = new StringBuilder();
        foreach (var step in _path)
        {
            if (text.Length > 0 && !step.StartsWith('['))
                text.Append('.');
            text.Append(step);
        }

        return text.ToString();
    }
}
