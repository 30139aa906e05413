namespace Pipeline.Workers.Generation;

/// <summary>Something that becomes due, and the statement that claims it.</summary>
/// <param name="Finding">As the metrics have it.</param>
/// <param name="Sql">Claims up to <c>$1</c> rows that no sweep has claimed within <c>$2</c>.</param>
/// <remarks>
/// A claim notes when the message went out (<c>swept_at</c>) and leaves the time that makes the row due as it is: the
/// saga asks for the same fact in its transaction (<see cref="SweepCheck"/>).
/// </remarks>
internal sealed record Sweep(string Finding, string Sql)
{
    /// <summary>
    /// An attempt that waited may begin before its deadline, or a removal is to be sent again. Of <c>g</c>, a row of
    /// <c>generation_requests</c>.
    /// </summary>
    public const string IsDue = """
        g.due_at <= now()
        and (g.current_state = 'Removing'
            or g.current_state = 'Requested' and (g.deadline_at is null or g.deadline_at > now()))
        """;

    /// <summary>
    /// Nobody has begun an attempt for <c>$2</c>, or has said how it ended: alive is who renews a lease, however long it
    /// takes. One whose lease has lapsed is not begun again; the next one is.
    /// </summary>
    /// <inheritdoc cref="IsDue"/>
    public const string IsStale = """
        g.current_state = 'Rendering' and g.updated_at <= now() - $2 and not exists (
            select from pipeline.generation_leases l
            where l.generation_id = g.correlation_id and l.attempt = g.attempt)
        """;

    /// <summary>
    /// The deadline has passed. Not where the attempt is rendered and only its message is still on the way: that image
    /// is paid for.
    /// </summary>
    /// <inheritdoc cref="IsDue"/>
    public const string IsLate = """
        g.deadline_at <= now()
        and (g.current_state = 'Requested' or g.current_state = 'Rendering' and not exists (
            select from pipeline.generation_leases l
            where l.generation_id = g.correlation_id and l.attempt = g.attempt)
        and not exists (
            select from pipeline.generation_attempts a
            where a.generation_id = g.correlation_id and a.attempt = g.attempt and a.outcome = 'succeeded'))
        """;

    /// <summary>
    /// Ends of requests in the lane. The receipts are the truth about saves: an import that ended without a save, or
    /// the save's own.
    /// </summary>
    public const string Ends = """
        select t.command_id, t.project_id, coalesce(s.outcome, i.outcome) as outcome,
               coalesce(s.reason, i.reason) as reason, s.project_version
        from pipeline.generation_targets t
        join pipeline.receipts i on i.command_id = t.import_command_id and i.scope = t.project_id
        left join pipeline.receipts s on s.command_id = i.follow_up_id and s.scope = t.project_id
        where t.import_command_id is not null and (s.command_id is not null or i.outcome <> 'applied')
        """;

    /// <summary>The request is open. Of <c>t</c>, a row of <see cref="Ends"/>.</summary>
    public const string IsOpen = "t.outcome is null";

    /// <summary>A person has replayed the failed import or save of a request, and it did not fail again.</summary>
    /// <inheritdoc cref="IsOpen"/>
    public const string IsReplayed = """
        t.outcome = 'failed' and coalesce(s.outcome, i.outcome) <> 'failed'
        """;

    public static readonly Sweep Due = new(
        "due",
        $"""
        update pipeline.generation_requests set swept_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where {IsDue} and (g.swept_at is null or g.swept_at < g.due_at or g.swept_at <= now() - $2)
            order by g.due_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    /// <summary>Leases of current attempts that nobody has renewed, though this process has found the database well for <c>$3</c>.</summary>
    public static readonly Sweep Lapsed = new(
        "lease-lapsed",
        """
        update pipeline.generation_leases set swept_at = now()
        where generation_id in (
            select l.generation_id from pipeline.generation_leases l
            join pipeline.generation_requests g on g.correlation_id = l.generation_id
                and g.attempt = l.attempt and g.current_state = 'Rendering'
            where l.lease_until <= now() and l.lease_length <= $3
            and (l.swept_at is null or l.swept_at < l.lease_until or l.swept_at <= now() - $2)
            limit $1 for update of l skip locked)
        returning generation_id, attempt
        """
    );

    public static readonly Sweep Deadline = new(
        "deadline-passed",
        $"""
        update pipeline.generation_requests set swept_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where {IsLate} and (g.swept_at is null or g.swept_at < g.deadline_at or g.swept_at <= now() - $2)
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    public static readonly Sweep Stale = new(
        "stale",
        $"""
        update pipeline.generation_requests set swept_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where {IsStale} and (g.swept_at is null or g.swept_at <= now() - $2)
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    public static readonly Sweep Settled = new("settled", SettledSql("outcome is null", IsOpen));

    public static readonly Sweep Replayed = new("replayed", SettledSql("outcome = 'failed'", IsReplayed));

    /// <summary>Looks at some of the requests, from a place of chance: a look costs the same however many there are.</summary>
    private static string SettledSql(string some, string which) =>
        $"""
            with start as materialized (select gen_random_uuid() as id),
            sample as materialized (
                (select command_id, project_id from pipeline.generation_targets
                 where {some} and import_command_id > (select id from start)
                 order by import_command_id limit 5 * $1)
                union all
                (select command_id, project_id from pipeline.generation_targets
                 where {some} and import_command_id <= (select id from start)
                 order by import_command_id limit 5 * $1)),
            ended as (
                {Ends} and {which} and (t.told_at is null or t.told_at <= now() - $2)
                and (t.command_id, t.project_id) in (select command_id, project_id from sample)
                limit $1 for update of t skip locked)
            update pipeline.generation_targets t set told_at = now() from ended e
            where t.command_id = e.command_id and t.project_id = e.project_id
            returning t.generation_id, t.project_id, t.command_id, e.outcome, e.reason, e.project_version
            """;
}
