using System.Security.Cryptography;
using Pipeline.Contracts;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;

namespace Pipeline.Workers.Lanes;

/// <summary>One command at its place in the lane, and what was decided on it.</summary>
internal sealed class LaneEntry
{
    private LaneEntry(ILaneCommand? command, Guid commandId, Guid projectId, string name, byte[] content)
    {
        Command = command;
        CommandId = commandId;
        ProjectId = projectId;
        Name = name;
        Content = content;
        RequestHash = SHA256.HashData(content);
    }

    /// <summary>Null for a message that could not be read.</summary>
    public ILaneCommand? Command { get; }

    public Guid CommandId { get; }

    public Guid ProjectId { get; }

    public CommandKey Key => new(ProjectId, CommandId);

    /// <summary>The command's exchange.</summary>
    public string Name { get; }

    /// <summary>The command as the pipeline writes it: the same for any key order and any envelope.</summary>
    public byte[] Content { get; }

    public byte[] RequestHash { get; }

    /// <summary>Why it is refused before any database is asked; null where it is not.</summary>
    public string? Refusal { get; init; }

    /// <summary>How often a person has replayed the message from the dead letters.</summary>
    public int Replays { get; init; }

    /// <summary>How often the broker has delivered it before without an answer.</summary>
    public int Redeliveries { get; init; }

    /// <summary>
    /// The place in the project's order that the command got when it failed; null for one that is decided for the first
    /// time, which is newer than everything before it.
    /// </summary>
    public long? Place { get; private set; }

    /// <summary>True where another command of the project, decided at that place, is newer than this one.</summary>
    /// <param name="place">Null for one that was decided for the first time in this batch.</param>
    public bool IsOlderThan(long? place) => Place is { } mine && (place is not { } other || other > mine);

    /// <summary>Set by the handler, or by the lane where there is nothing to handle.</summary>
    public LaneReceipt? Decision { get; private set; }

    public static LaneEntry Of(ILaneCommand command, Guid commandId, string? refusal, int replays, int redeliveries) =>
        new(
            command,
            commandId,
            command.ProjectId,
            WireNames.ExchangeOf(command.GetType()),
            WireJson.Write(command, command.GetType())
        )
        {
            Refusal = refusal,
            Replays = replays,
            Redeliveries = redeliveries,
        };

    /// <summary>A message that carries an id, but cannot be read as a command.</summary>
    public static LaneEntry Unreadable(UnreadableCommand unread, int replays, int redeliveries) =>
        new(command: null, unread.CommandId, unread.ProjectId, unread.Name, unread.Body)
        {
            Refusal = unread.Reason,
            Replays = replays,
            Redeliveries = redeliveries,
        };

    public T As<T>()
        where T : class, ILaneCommand => (T)Command!;

    /// <summary>The command changed rows: <c>applied</c>, or <c>target-missing</c> where the picture is kept out of sight.</summary>
    /// <param name="outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="reason">A sentence, or null where there is nothing to say.</param>
    /// <param name="projectVersion">From <see cref="LaneTransaction.NextVersion"/>; null where nothing was written.</param>
    /// <param name="at">When, UTC.</param>
    /// <param name="announcements">In the order in which they go out.</param>
    public void Decide(
        string outcome,
        string? reason,
        long? projectVersion,
        DateTimeOffset at,
        params IReadOnlyList<Announcement> announcements
    ) => Decision = new LaneReceipt(this, outcome, reason, projectVersion, at, announcements);

    /// <summary>The command breaks a rule and changes nothing.</summary>
    public void Reject(string reason, DateTimeOffset at) =>
        Decide(
            Outcomes.Rejected,
            reason,
            projectVersion: null,
            at,
            Announcement.Of(Key, new CommandRejected(CommandId, ProjectId, Name, reason, at))
        );

    /// <summary>Something newer had decided the matter.</summary>
    public void Supersede(string reason, DateTimeOffset at) =>
        Decide(
            Outcomes.Superseded,
            reason,
            projectVersion: null,
            at,
            Announcement.Of(Key, new CommandSuperseded(CommandId, ProjectId, Name, reason, at))
        );

    /// <summary>The command could not be carried out; its message goes to the dead letters.</summary>
    public void Fail(string reason, DateTimeOffset at) =>
        Decide(
            Outcomes.Failed,
            reason,
            projectVersion: null,
            at,
            Announcement.Of(Key, new CommandFailed(CommandId, ProjectId, Name, reason, at))
        );

    /// <summary>The command had been decided before: the same answer again.</summary>
    public void Recall(LaneReceipt earlier) => Decision = earlier with { Entry = this, IsNew = false };

    /// <summary>The command has failed before, at this place, and a person has replayed it.</summary>
    public void Reopen(long place) => Place = place;

    /// <summary>Forgets a decision whose transaction was rolled back.</summary>
    public void Forget() => (Decision, Place) = (null, null);
}
