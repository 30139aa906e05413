using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>The verbs of the dead letters.</summary>
internal static class DeadLettersVerb
{
    private const string Help = """
        Understand messages that failed, and send them again, correct them, put them aside or throw them away.

        docs/dead-letters.md is the operator's page.
        """;

    public static Command Build(VerbRunner verbs) =>
        new("dead-letters", Help)
        {
            ListVerb.Build(verbs),
            ShowVerb.Build(verbs),
            ReplayVerb.Build(verbs),
            EditVerb.Build(verbs),
            MoveVerbs.BuildPark(verbs),
            MoveVerbs.BuildDiscard(verbs),
            FileVerbs.BuildExport(verbs),
            FileVerbs.BuildImport(verbs),
            AuditVerb.Build(verbs),
        };

    /// <summary>The queues that a selection is about. One that names a parking queue, or messages by id, looks there as well.</summary>
    /// <exception cref="FailureException">The workers have declared none yet.</exception>
    public static async Task<string[]> QueuesAsync(
        LetterSelection selection,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        var withParked = selection.Ids.Count > 0;
        var queues = await QueueNames.ListAsync(database, selection.Queue, withParked, cancellation);
        return queues.Length > 0
            ? queues
            : throw new FailureException("The workers have declared no queues yet: run their migrate verb.");
    }
}
