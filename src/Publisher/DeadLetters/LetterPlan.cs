using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>What a verb would do, found out without doing anything.</summary>
/// <param name="Counts">Selected letters of each queue, without empty ones.</param>
/// <param name="Groups">The same by type and cause.</param>
/// <param name="Superseded">Lane commands that newer writes have decided meanwhile, as far as the database tells now.</param>
/// <param name="WithoutReceipts">Types among them whose messages have no receipt of their own.</param>
internal sealed record LetterPlan(
    IReadOnlyDictionary<string, int> Counts,
    LetterGroups Groups,
    int Superseded,
    IReadOnlyCollection<string> WithoutReceipts
)
{
    private const int ForesightBatch = 500;

    public int Count => Counts.Values.Sum();

    public static async Task<LetterPlan> MakeAsync(
        LetterSelection selection,
        bool withForesight,
        StatusDatabase database,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var groups = new LetterGroups(LetterGroups.ByCause, context.Clock.GetUtcNow());
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        var silent = new SortedSet<string>(StringComparer.Ordinal);
        var foresight = new Foresight(database);
        var batch = new List<DeadLetter>();
        var superseded = 0;
        var letters = Peek.ReadAsync(
            context.Settings.Broker,
            await DeadLettersVerb.QueuesAsync(selection, database, cancellation),
            selection,
            context.Clock,
            context.Screen.NoteAsync,
            cancellation
        );
        await foreach (var letter in letters)
        {
            groups.Add(letter);
            counts[letter.Queue] = counts.GetValueOrDefault(letter.Queue) + 1;
            if (!AnswerWatch.IsAnswered(letter))
                silent.Add(letter.Type ?? "of unknown type");
            if (!withForesight)
                continue;
            batch.Add(letter);
            if (batch.Count < ForesightBatch)
                continue;
            superseded += await foresight.SupersededAsync(batch, cancellation);
            batch.Clear();
        }

        superseded += await foresight.SupersededAsync(batch, cancellation);
        return new LetterPlan(counts, groups, superseded, silent);
    }
}
