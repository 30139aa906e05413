using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>How an import ended, as it is written to its receipt with the one message that follows from it.</summary>
/// <param name="Command">The import.</param>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">Null where the outcome says it all.</param>
/// <param name="FollowUp">The save or replacement; null where there is none.</param>
/// <param name="Stored">The object that now holds the image; null where there is none.</param>
internal sealed record ImportDecision(
    ImportImage Command,
    string Outcome,
    string? Reason,
    FollowUp? FollowUp,
    StoredObject? Stored
)
{
    /// <summary>The bytes are in the store and the save or replacement is queued.</summary>
    public static ImportDecision Applied(ImportImage command, FollowUp followUp, StoredObject stored) =>
        new(command, Outcomes.Applied, null, followUp, stored);

    /// <summary>It can never succeed as it is.</summary>
    public static ImportDecision Rejected(ImportImage command, string reason) =>
        new(command, Outcomes.Rejected, reason, null, null);
}

/// <summary>The command that shows what was imported.</summary>
/// <param name="CommandId">Drawn at random, so that no other sender can use the id up beforehand.</param>
/// <param name="Message">The command as it is sent, each time that the import is delivered again.</param>
internal sealed record FollowUp(Guid CommandId, Announcement Message);
