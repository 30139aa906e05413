namespace Pipeline.Workers.Persistence;

/// <summary>Who this process is, to the other workers and to the database.</summary>
/// <param name="Id">New for each start, so that a restarted process is no heir of its predecessor's leases.</param>
/// <param name="Name">For people: <c>Worker__Name</c>, or the machine's name.</param>
internal sealed record WorkerIdentity(Guid Id, string Name)
{
    /// <summary>What precedes the id in <see cref="SessionName"/>.</summary>
    public const string SessionPrefix = "pipeline-workers ";

    /// <summary>The <c>application_name</c> of this process's sessions, as <c>pg_stat_activity</c> shows it.</summary>
    public string SessionName => SessionPrefix + Id;
}
