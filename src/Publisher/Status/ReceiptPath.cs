namespace Pipeline.Publisher.Status;

/// <summary>Where the HTTP API has a command's receipt, once there is one.</summary>
internal static class ReceiptPath
{
    /// <param name="project">All zeros for a command that names no project.</param>
    /// <param name="command">Its id.</param>
    public static string Of(Guid project, Guid command) =>
        project == Guid.Empty ? $"/receipts/{command}" : $"/projects/{project}/receipts/{command}";
}
