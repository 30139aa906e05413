namespace Pipeline.Workers.Lanes;

/// <summary>What the lanes tell an operator, one line for each change of state.</summary>
internal static partial class LaneLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Lane {Lane} is held (epoch {Epoch})")]
    public static partial void LaneTaken(ILogger logger, int lane, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Lane {Lane} is handed over ({Reason})")]
    public static partial void LaneReleased(ILogger logger, int lane, string reason);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Lane {Lane}: a batch could not be applied or published; its link is opened anew ({Breaks} in a row)"
    )]
    public static partial void LaneBroke(ILogger logger, Exception error, int lane, int breaks);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Lane {Lane}: the link is lost and opened anew ({Breaks} in a row with a batch in work): {Reason}"
    )]
    public static partial void LinkLost(ILogger logger, int lane, string reason, int breaks);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lane {Lane}: the link could not be opened: {Error}")]
    public static partial void LinkNotOpened(ILogger logger, int lane, string error);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Lane {Lane}: the batch in work did not end within {Limit}; the lease runs out"
    )]
    public static partial void LaneNotDrained(ILogger logger, int lane, TimeSpan limit);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Lane {Lane} makes no progress in state {State}: its lease is not renewed"
    )]
    public static partial void LaneStuck(ILogger logger, int lane, LaneState state);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "The broker cannot be reached from here: this worker takes no lanes until it can"
    )]
    public static partial void BrokerUnreachable(ILogger logger);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Lane {Lane}: messages are not confirmed, sending again: {Error}"
    )]
    public static partial void PublishRepeated(ILogger logger, int lane, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leases could not be renewed: {Error}")]
    public static partial void LeaseNotRenewed(ILogger logger, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A message of lane {Lane} is no command: {Reason}")]
    public static partial void MessageUnreadable(ILogger logger, int lane, string reason);
}
