using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Lanes;

/// <summary>What was decided on a command, as it is written to <c>pipeline.receipts</c>.</summary>
/// <param name="Entry">The command.</param>
/// <param name="Outcome">One of <see cref="Contracts.Receipts.Outcomes"/>.</param>
/// <param name="Reason">Null where the outcome says it all.</param>
/// <param name="ProjectVersion">The project's version after the write; null where nothing was written.</param>
/// <param name="At">When it was decided, UTC.</param>
/// <param name="Announcements">Events, in the order in which they go out.</param>
internal sealed record LaneReceipt(
    LaneEntry Entry,
    string Outcome,
    string? Reason,
    long? ProjectVersion,
    DateTimeOffset At,
    IReadOnlyList<Announcement> Announcements
)
{
    /// <summary>False where the receipt was found, so that nothing is written a second time.</summary>
    public bool IsNew { get; init; } = true;

    public Receipt ToReceipt() =>
        new()
        {
            CommandId = Entry.CommandId,
            Scope = Entry.ProjectId,
            ProjectId = Entry.ProjectId,
            Command = Entry.Name,
            RequestHash = Entry.RequestHash,
            Outcome = Outcome,
            Reason = Reason,
            ProjectVersion = ProjectVersion,
            Replays = Entry.Replays,
            Announcements = Announcement.Write(Announcements),
            At = At,
            Place = Entry.Place,
        };
}
