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
    /// <summary>An attempt that waited may begin, or a removal is to be sent again. Of <c>g</c>, a row of <c>generation_requests</c>.</summary>
    public const string IsDue = "g.current_state in ('Requested', 'Removing') and g.due_at <= now()";

    /// <summary>
    /// An attempt has neither a lease nor an appointment for <c>$2</c>: alive is who renews a lease, however long it
    /// takes.
    /// </summary>
    /// <inheritdoc cref="IsDue"/>
    public const string IsStale = """
        g.current_state = 'Rendering' and g.updated_at <= now() - $2 and not exists (
            select from pipeline.generation_leases l
            where l.generation_id = g.correlation_id and l.attempt = g.attempt and l.lease_until > now())
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

    /// <summary>Leases of current attempts that nobody has renewed in time.</summary>
    public const string LapsedLeases = """
        select l.generation_id from pipeline.generation_leases l
        join pipeline.generation_requests g on g.correlation_id = l.generation_id
            and g.attempt = l.attempt and g.current_state = 'Rendering'
        where l.lease_until <= now()
        """;

    /// <summary>
    /// Requests that have their end in the lane. The receipts are the truth about saves: an import that ended without a
    /// save, or the save's own.
    /// </summary>
    public const string EndedTargets = """
        select t.command_id, t.project_id, coalesce(s.outcome, i.outcome) as outcome,
               coalesce(s.reason, i.reason) as reason, s.project_version
        from pipeline.generation_targets t
        join pipeline.receipts i on i.command_id = t.import_command_id and i.scope = t.project_id
        left join pipeline.receipts s on s.command_id = i.follow_up_id and s.scope = t.project_id
        where t.outcome is null and t.import_command_id is not null
            and (s.command_id is not null or i.outcome <> 'applied')
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

    public static readonly Sweep Lapsed = new(
        "lease-lapsed",
        $"""
        update pipeline.generation_leases set swept_at = now()
        where generation_id in (
            {LapsedLeases} and (l.swept_at is null or l.swept_at < l.lease_until or l.swept_at <= now() - $2)
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

    /// <summary>Looks at some of the open requests, from a place of chance: a look costs the same however many are open.</summary>
    public static readonly Sweep Settled = new(
        "settled",
        $"""
        with start as materialized (select gen_random_uuid() as id),
        open as materialized (
            (select command_id, project_id from pipeline.generation_targets
             where outcome is null and import_command_id > (select id from start)
             order by import_command_id limit 5 * $1)
            union all
            (select command_id, project_id from pipeline.generation_targets
             where outcome is null and import_command_id <= (select id from start)
             order by import_command_id limit 5 * $1)),
        ended as (
            {EndedTargets} and (t.told_at is null or t.told_at <= now() - $2)
            and (t.command_id, t.project_id) in (select command_id, project_id from open)
            limit $1 for update of t skip locked)
        update pipeline.generation_targets t set told_at = now() from ended e
        where t.command_id = e.command_id and t.project_id = e.project_id
        returning t.generation_id, t.project_id, t.command_id, e.outcome, e.reason, e.project_version
        """
    );
}
