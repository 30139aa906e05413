using Pipeline.Contracts.Receipts;
using Pipeline.Wire;

namespace Pipeline.Workers.Commands;

/// <summary>How a command ends.</summary>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">For people; null where the outcome says it all.</param>
internal sealed record Decision(string Outcome, string? Reason = null)
{
    /// <summary>
    /// Events, and commands that follow from this one. Null for the event that every command of this outcome has:
    /// <c>command-rejected</c>, <c>command-superseded</c>, <c>command-failed</c>, and none where the effect has its own.
    /// </summary>
    public IReadOnlyList<Announcement>? Announcements { get; init; }

    /// <summary>The project under which the receipt is listed, where the command itself does not name it.</summary>
    public Guid? ProjectId { get; init; }

    /// <inheritdoc cref="Receipt.FollowUpId"/>
    public Guid? FollowUpId { get; init; }

    /// <inheritdoc cref="Receipt.Place"/>
    public long? Place { get; init; }

    public static Decision Applied(string? reason = null) => new(Outcomes.Applied, reason);

    public static Decision Unchanged(string? reason) => new(Outcomes.Unchanged, reason);

    public static Decision Rejected(string reason) => new(Outcomes.Rejected, reason);

    public static Decision Superseded(string reason) => new(Outcomes.Superseded, reason);

    public static Decision Failed(string reason) => new(Outcomes.Failed, reason);

    /// <summary>What is announced when the command ends like this.</summary>
    public IReadOnlyList<Announcement> AnnouncementsOf(CommandRequest request, DateTimeOffset at)
    {
        if (Announcements is not null)
            return Announcements;
        var (key, id, command) = (request.Key, request.CommandId, request.Command);
        var (project, reason) = (ProjectId ?? request.ProjectId, Reason ?? "");
        return Outcome switch
        {
            Outcomes.Rejected => [Announcement.Of(key, new CommandRejected(id, project, command, reason, at))],
            Outcomes.Superseded => [Announcement.Of(key, new CommandSuperseded(id, project, command, reason, at))],
            // The failure of a replay is another one than the failure before.
            Outcomes.Failed =>
            [
                Announcement.Of(
                    key,
                    new CommandFailed(id, project, command, reason, at),
                    request.Replays == 0 ? "" : $"/{request.Replays}"
                ),
            ],
            _ => [],
        };
    }
}
