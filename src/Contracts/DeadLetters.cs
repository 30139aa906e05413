namespace Pipeline.Contracts.DeadLetters;

/// <summary>What a person can do about a dead letter.</summary>
public static class DeadLetterActions
{
    /// <summary>Sent again to the queue in which it failed, under its own id.</summary>
    public const string Replay = "replay";

    /// <summary>Corrected and sent under a new id that is derived from the old one and the new content.</summary>
    public const string Edit = "edit";

    /// <summary>Thrown away, with a reason.</summary>
    public const string Discard = "discard";

    /// <summary>Moved to the queue's parking queue.</summary>
    public const string Park = "park";
}

/// <summary>
/// Message, internal: the publisher is about to do something about dead letters, or has done it. Sent, and confirmed by
/// the broker, before a dead letter is touched and again when it has left its queue.
/// </summary>
/// <param name="RunId">One call of a verb.</param>
/// <param name="By">Who, such as <c>jane@desk-3</c>; up to 200 characters.</param>
/// <param name="Reason">Why; null where none was given.</param>
/// <param name="Steps">1 to 500.</param>
public sealed record RecordDeadLetterActions(
    Guid RunId,
    string By,
    string? Reason,
    IReadOnlyList<DeadLetterStep> Steps
);

/// <summary>One dead letter in a <see cref="RecordDeadLetterActions"/>.</summary>
/// <param name="ActionId">Derived from the run and the dead letter, so that a repetition is the same action.</param>
/// <param name="Action">One of <see cref="DeadLetterActions"/>.</param>
/// <param name="Queue">Where the dead letter lies, such as <c>project-lane-03_error</c>.</param>
/// <param name="MessageId">Its <c>message_id</c>; null where it has none.</param>
/// <param name="Command">Its type, such as <c>save-image</c>; null where that is unknown.</param>
/// <param name="ProjectId">Its project; null where that is unknown.</param>
/// <param name="Replays">What the replay carries as <c>x-replay-count</c>; 0 for other actions.</param>
/// <param name="SuccessorId">The command that an edit made; otherwise null.</param>
/// <param name="BegunAt">When it began, UTC.</param>
/// <param name="DoneAt">When it had left its queue, UTC; null while it has not.</param>
public sealed record DeadLetterStep(
    Guid ActionId,
    string Action,
    string Queue,
    string? MessageId,
    string? Command,
    Guid? ProjectId,
    int Replays,
    Guid? SuccessorId,
    DateTimeOffset BegunAt,
    DateTimeOffset? DoneAt
);

/// <summary>Event: a person has sent a dead letter again. Its receipt tells how it ends.</summary>
/// <param name="ActionId">The action, as in <c>status.dead_letter_actions</c>.</param>
/// <param name="ProjectId">Its project; all zeros where that is unknown.</param>
/// <param name="MessageId">The message's id; null where it has none.</param>
/// <param name="Command">Its type; null where that is unknown.</param>
/// <param name="Queue">The queue that it lay in.</param>
/// <param name="By">Who did it.</param>
/// <param name="Reason">Why; null where none was given.</param>
/// <param name="At">When it was done, UTC.</param>
public sealed record DeadLetterReplayed(
    Guid ActionId,
    Guid ProjectId,
    string? MessageId,
    string? Command,
    string Queue,
    string By,
    string? Reason,
    DateTimeOffset At
);

/// <summary>Event: a person has corrected a dead letter and sent it under a new id.</summary>
/// <inheritdoc cref="DeadLetterReplayed" path="/param"/>
/// <param name="SuccessorId">The id of the command that was sent instead.</param>
public sealed record DeadLetterEdited(
    Guid ActionId,
    Guid ProjectId,
    string? MessageId,
    string? Command,
    string Queue,
    Guid SuccessorId,
    string By,
    string? Reason,
    DateTimeOffset At
);

/// <summary>Event: a person has thrown a dead letter away. Its command's receipt stays <c>failed</c> for good.</summary>
/// <inheritdoc cref="DeadLetterReplayed" path="/param"/>
public sealed record DeadLetterDiscarded(
    Guid ActionId,
    Guid ProjectId,
    string? MessageId,
    string? Command,
    string Queue,
    string By,
    string? Reason,
    DateTimeOffset At
);

/// <summary>Event: a person has put a dead letter aside, into the queue's parking queue.</summary>
/// <inheritdoc cref="DeadLetterReplayed" path="/param"/>
public sealed record DeadLetterParked(
    Guid ActionId,
    Guid ProjectId,
    string? MessageId,
    string? Command,
    string Queue,
    string By,
    string? Reason,
    DateTimeOffset At
);
