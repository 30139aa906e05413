using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Finds where to cut a key space of which nothing is known, so that parts can be listed side by side.</summary>
/// <remarks>
/// It looks for the places where keys differ: the characters that follow what a group of keys has in common, one
/// request for each. Wherever the cuts are, the parts together are the whole key space; only their sizes depend on
/// it.
/// </remarks>
internal static class KeySpaceSplitter
{
    // Sorts after everything that can follow a common beginning in practice.
    private const string Highest = "\U0010FFFF";

    private const int ProbeLimit = 200;

    // A beginning with the mark behind it must still be a key that S3 takes.
    private const int CommonLimit = 200;

    /// <param name="first">The first key of all.</param>
    /// <param name="parts">How many parts are wanted, 1 or more.</param>
    /// <param name="nextAfter">Asks the store for the first key after another; null where there is none.</param>
    /// <returns>The cuts, fewer than <paramref name="parts"/>, in order: a part is what comes after one, up to the next.</returns>
    public static async Task<IReadOnlyList<string>> DivideAsync(
        string first,
        int parts,
        Func<string, Task<string?>> nextAfter
    )
    {
        var probes = 0;
        var open = new Queue<(string Beginning, string First)>([("", first)]);
        var beginnings = new SortedSet<string>(Comparer<string>.Create(KeyOrder.Compare)) { "" };
        while (beginnings.Count < parts && probes < ProbeLimit && open.TryDequeue(out var group))
        {
            var common = await CommonAsync(group.Beginning, group.First);
            if (common.Length > CommonLimit)
                continue;
            var children = new List<(string Beginning, string First)>();
            string? key = group.First == common ? await NextAsync(common) : group.First;
            while (key?.StartsWith(common, StringComparison.Ordinal) == true && probes < ProbeLimit)
            {
                var length = common.Length + (char.IsHighSurrogate(key[common.Length]) ? 2 : 1);
                children.Add((key[..length], key));
                key = await NextAsync(key[..length] + Highest);
            }

            if (children.Count > 0)
                beginnings.Remove(group.Beginning);
            foreach (var child in children)
            {
                beginnings.Add(child.Beginning);
                open.Enqueue(child);
            }
        }

        var cuts = beginnings.Skip(1).ToList(); // Before the first one there is nothing to cut.
        return cuts.Count < parts
            ? cuts
            : [.. Enumerable.Range(1, parts - 1).Select(x => cuts[x * cuts.Count / parts])];

        // The longest beginning that all keys of the group share, by halving.
        async Task<string> CommonAsync(string beginning, string key)
        {
            var (known, unknown) = (beginning.Length, Math.Min(key.Length, CommonLimit + 1));
            while (known < unknown && probes < ProbeLimit)
            {
                var middle = (known + unknown + 1) / 2;
                if (char.IsHighSurrogate(key[middle - 1]))
                {
                    if (middle < unknown)
                        middle++;
                    else if (--middle == known)
                        break;
                }

                var beyond = await NextAsync(key[..middle] + Highest);
                if (beyond?.StartsWith(beginning, StringComparison.Ordinal) == true)
                    unknown = middle - (char.IsLowSurrogate(key[middle - 1]) ? 2 : 1);
                else
                    known = middle;
            }

            return key[..known];
        }

        Task<string?> NextAsync(string after)
        {
            probes++;
            return nextAfter(after);
        }
    }
}
