namespace Pipeline.Workers.Lanes;

/// <summary>What the lanes tell an operator, one line for each change of state.</summary>
internal static partial class LaneLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Lane {Lane} is held (epoch {Epoch})")]
    public static partial void LaneTaken(ILogger logger, int lane, long epoch);

    [LoggerMessage(Level = LogLevel.Information, Message = "Lane {Lane} is handed over ({Reason})")]
    public static partial void LaneReleased(ILogger logger, int lane, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Lane {Lane} broke and is opened anew")]
    public static partial void LaneBroke(ILogger logger, Exception error, int lane);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lane {Lane} could not be closed in order: {Error}")]
    public static partial void LaneStopFailed(ILogger logger, int lane, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Lane {Lane}: events are not confirmed, sending again: {Error}")]
    public static partial void AnnouncementRepeated(ILogger logger, int lane, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leases could not be renewed: {Error}")]
    public static partial void LeaseNotRenewed(ILogger logger, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A message of lane {Lane} is no command: {Reason}")]
    public static partial void MessageUnreadable(ILogger logger, int lane, string reason);
}
