namespace Pipeline.Contracts.Receipts;

/// <summary>The six ways in which a command can end; every command ends in exactly one.</summary>
public static class Outcomes
{
    /// <summary>The command changed rows, in the transaction that wrote the receipt.</summary>
    public const string Applied = "applied";

    /// <summary>What the command asks for was so already.</summary>
    public const string Unchanged = "unchanged";

    /// <summary>Something newer had decided the matter, such as a deletion.</summary>
    public const string Superseded = "superseded";

    /// <summary>
    /// What the command refers to is not there yet. The picture is kept, out of sight, and placed when the scene or
    /// the stored object arrives; <c>image-saved</c> tells when.
    /// </summary>
    public const string TargetMissing = "target-missing";

    /// <summary>The command can never succeed as it is; the reason names the field and the rule.</summary>
    public const string Rejected = "rejected";

    /// <summary>The command could not be carried out; it lies in the lane's dead letters and may be replayed.</summary>
    public const string Failed = "failed";
}

/// <summary>Event: a command was refused and changed nothing. Correct it and send it under a new command id.</summary>
/// <param name="CommandId">The refused command.</param>
/// <param name="ProjectId">Its project; all zeros where the command named none.</param>
/// <param name="Command">The command's exchange, such as <c>save-image</c>.</param>
/// <param name="Reason">Names the field and the rule, in one sentence.</param>
/// <param name="At">When it was decided, UTC.</param>
public sealed record CommandRejected(Guid CommandId, Guid ProjectId, string Command, string Reason, DateTimeOffset At);

/// <summary>Event: a command came too late; something newer had decided the matter. Nothing is owed.</summary>
/// <inheritdoc cref="CommandRejected" path="/param"/>
public sealed record CommandSuperseded(
    Guid CommandId,
    Guid ProjectId,
    string Command,
    string Reason,
    DateTimeOffset At
);

/// <summary>Event: a command could not be carried out. It lies in the dead letters until a person replays it.</summary>
/// <inheritdoc cref="CommandRejected" path="/param"/>
public sealed record CommandFailed(Guid CommandId, Guid ProjectId, string Command, string Reason, DateTimeOffset At);
