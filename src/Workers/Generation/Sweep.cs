namespace Pipeline.Workers.Generation;

/// <summary>Something that becomes due, and the statement that claims it.</summary>
/// <param name="Finding">As the metrics have it.</param>
/// <param name="Sql">Claims up to <c>$1</c> rows; <c>$2</c> is a time, where it takes one.</param>
internal sealed record Sweep(string Finding, string Sql)
{
    public static readonly Sweep Due = new(
        "due",
        """
        update pipeline.generation_requests set due_at = now() + $2
        where correlation_id in (
            select correlation_id from pipeline.generation_requests
            where due_at <= now() and current_state in ('Requested', 'Removing')
            order by due_at limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    public static readonly Sweep Lapsed = new(
        "lease-lapsed",
        """
        update pipeline.generation_leases set lease_until = now() + $2
        where generation_id in (
            select l.generation_id from pipeline.generation_leases l
            join pipeline.generation_requests g on g.correlation_id = l.generation_id
                and g.attempt = l.attempt and g.current_state = 'Rendering'
            where l.lease_until <= now() limit $1 for update of l skip locked)
        returning generation_id, attempt
        """
    );

    // Not where the attempt is rendered and only its message is still on the way: that picture is paid for.
    public static readonly Sweep Deadline = new(
        "deadline-passed",
        """
        update pipeline.generation_requests set updated_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where g.deadline_at <= now()
                and (g.updated_at <= g.deadline_at or g.updated_at <= now() - interval '1 second')
                and (g.current_state = 'Requested' or g.current_state = 'Rendering' and not exists (
                    select from pipeline.generation_leases l
                    where l.generation_id = g.correlation_id and l.attempt = g.attempt)
                and not exists (
                    select from pipeline.generation_attempts a
                    where a.generation_id = g.correlation_id and a.attempt = g.attempt and a.outcome = 'succeeded'))
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    // Alive is who renews a lease, however long it takes; stale is who has neither a lease nor an appointment.
    public static readonly Sweep Stale = new(
        "stale",
        """
        update pipeline.generation_requests set updated_at = now()
        where correlation_id in (
            select g.correlation_id from pipeline.generation_requests g
            where g.current_state = 'Rendering' and g.updated_at <= now() - $2 and not exists (
                select from pipeline.generation_leases l
                where l.generation_id = g.correlation_id and l.attempt = g.attempt and l.lease_until > now())
            limit $1 for update skip locked)
        returning correlation_id, attempt
        """
    );

    // The receipts are the truth about saves: an import that ended without a save, or the save's own.
    public static readonly Sweep Settled = new(
        "settled",
        """
        with ended as (
            select t.command_id, r.outcome, r.reason, r.project_version
            from pipeline.generation_targets t
            join pipeline.receipts r on r.command_id = t.save_command_id
                or r.command_id = t.import_command_id and r.outcome <> 'applied'
            where t.outcome is null and t.save_command_id is not null
                and (t.told_at is null or t.told_at <= now() - $2)
            limit $1 for update of t skip locked)
        update pipeline.generation_targets t set told_at = now() from ended e where t.command_id = e.command_id
        returning t.generation_id, t.command_id, e.outcome, e.reason, e.project_version
        """
    );
}
