using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>
/// Which events the broker puts into the queue <c>webhook-events</c>: those that a subscription wants, so that a
/// pipeline without webhooks carries no event a second time.
/// </summary>
/// <remarks>
/// The table says what may be bound: a row is there before its binding, and goes after it. Who adds or takes away holds
/// a lock, but no transaction while it speaks to the broker, which may take long. A crash in between leaves a binding
/// too many at most, whose events match no subscription, until the next look takes it back.
/// </remarks>
internal sealed class WebhookBindings(NpgsqlDataSource source, EventBinder binder)
{
    /// <summary>Bindings that one look makes anew or takes back: who subscribes waits for no more.</summary>
    public const int AtOnce = 500;

    // A topic exchange's key for every project.
    private const string AllProjects = "#";

    private const string AddSql = """
        insert into pipeline.webhook_bindings (event, routing_key) select * from unnest($1, $2) on conflict do nothing
        """;

    private const string BoundSql = "select event, routing_key from pipeline.webhook_bindings";

    private const string WantedSql =
        "select events, project_id from pipeline.webhook_subscriptions where state = 'active'";

    private const string DropSql = """
        delete from pipeline.webhook_bindings b using unnest($1, $2) as d (event, routing_key)
        where b.event = d.event and b.routing_key = d.routing_key
        """;

    // Where the next look goes on to make bindings anew.
    private int _next;

    /// <summary>Does work during which nobody else adds bindings or takes them away.</summary>
    public Task HoldAsync(Func<Task> work, CancellationToken cancellation) =>
        AdvisoryLock.Of(LockUse.WebhookBindings).HoldAsync(source, work, cancellation);

    /// <summary>Binds what one subscription is about to want. The caller holds the lock until the subscription is there.</summary>
    /// <exception cref="BrokerAwayException">Worth a retry.</exception>
    public Task AddAsync(IReadOnlyList<string> events, Guid? projectId, CancellationToken cancellation) =>
        BindAsync([.. Events(events).Select(x => new EventBinding(x, KeyOf(projectId)))], [], [], cancellation);

    /// <summary>
    /// Takes back what nobody wants, and makes anew what a lost broker may have forgotten: all bindings where they are
    /// few, and a share of many, behind those of the look before.
    /// </summary>
    /// <exception cref="BrokerAwayException">Worth a later try.</exception>
    public Task ReconcileAsync(CancellationToken cancellation) =>
        HoldAsync(() => ReconcileShareAsync(cancellation), cancellation);

    private async Task ReconcileShareAsync(CancellationToken cancellation)
    {
        var bound = new HashSet<EventBinding>();
        await using (var read = source.CreateCommand(BoundSql))
        await using (var row = await read.ExecuteReaderAsync(cancellation))
        {
            while (await row.ReadAsync(cancellation))
                bound.Add(new EventBinding(row.GetString(0), row.GetString(1)));
        }

        var wanted = new HashSet<EventBinding>();
        await using (var read = source.CreateCommand(WantedSql))
        await using (var row = await read.ExecuteReaderAsync(cancellation))
        {
            while (await row.ReadAsync(cancellation))
            {
                var key = KeyOf(row.IsDBNull(1) ? null : row.GetGuid(1));
                wanted.UnionWith(Events(row.GetFieldValue<string[]>(0)).Select(x => new EventBinding(x, key)));
            }
        }

        EventBinding[] unwanted = [.. bound.Except(wanted).Take(AtOnce)];
        if (wanted.Count + unwanted.Length == 0)
            return; // Nobody uses webhooks: no connection for that.
        EventBinding[] missing = [.. wanted.Except(bound).Take(AtOnce)];
        await BindAsync(missing, Share(wanted), unwanted, cancellation);
    }

    private EventBinding[] Share(HashSet<EventBinding> wanted)
    {
        EventBinding[] ordered =
        [
            .. wanted.OrderBy(x => x.RoutingKey, StringComparer.Ordinal).ThenBy(x => x.Event, StringComparer.Ordinal),
        ];
        var from = _next < ordered.Length ? _next : 0;
        _next = from + AtOnce;
        return [.. ordered.Skip(from).Take(AtOnce)];
    }

    private async Task BindAsync(
        IReadOnlyCollection<EventBinding> added,
        IReadOnlyCollection<EventBinding> again,
        IReadOnlyCollection<EventBinding> unwanted,
        CancellationToken cancellation
    )
    {
        await WriteAsync(AddSql, added, cancellation);
        await binder.BindAsync(WebhookEventConsumer.Queue, [.. added, .. again], unwanted, cancellation);
        await WriteAsync(DropSql, unwanted, cancellation);
    }

    private async Task WriteAsync(
        string sql,
        IReadOnlyCollection<EventBinding> bindings,
        CancellationToken cancellation
    )
    {
        if (bindings.Count == 0)
            return;
        await using var write = source.CreateCommand(sql);
        write.Parameters.AddWithValue(bindings.Select(x => x.Event).ToArray());
        write.Parameters.AddWithValue(bindings.Select(x => x.RoutingKey).ToArray());
        await write.ExecuteNonQueryAsync(cancellation);
    }

    private static IEnumerable<string> Events(IReadOnlyList<string> events) =>
        events.Count == 0 ? WebhookRules.Events : events;

    private static string KeyOf(Guid? projectId) => projectId is { } id ? WireNames.RoutingKeyOf(id) : AllProjects;
}
