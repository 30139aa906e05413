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
/// The table says what was bound. Who adds or takes away holds the lock until the commit; a crash in between leaves a
/// binding too many at most, whose events match no subscription.
/// </remarks>
internal sealed class WebhookBindings(EventBinder binder)
{
    // A topic exchange's key for every project.
    private const string AllProjects = "#";

    private const string AddSql = """
        insert into pipeline.webhook_bindings (event, routing_key) select unnest($1), $2 on conflict do nothing
        """;

    private const string BoundSql = "select event, routing_key from pipeline.webhook_bindings";

    private const string WantedSql =
        "select events, project_id from pipeline.webhook_subscriptions where state = 'active'";

    private const string DropSql = "delete from pipeline.webhook_bindings where event = $1 and routing_key = $2";

    /// <summary>Until the transaction's end nobody else changes the bindings.</summary>
    public static Task LockAsync(NpgsqlConnection connection, CancellationToken cancellation) =>
        AdvisoryLock.Of(LockUse.WebhookBindings).TakeAsync(connection, cancellation);

    /// <summary>Binds what one subscription wants. The caller holds the lock.</summary>
    /// <exception cref="BrokerAwayException">Worth a retry; the transaction must not commit.</exception>
    public async Task AddAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        IReadOnlyList<string> events,
        Guid? projectId,
        CancellationToken cancellation
    )
    {
        string[] wanted = [.. Events(events)];
        await using (var add = new NpgsqlCommand(AddSql, connection, transaction))
        {
            add.Parameters.AddWithValue(wanted);
            add.Parameters.AddWithValue(KeyOf(projectId));
            await add.ExecuteNonQueryAsync(cancellation);
        }

        await binder.BindAsync(
            WebhookEventConsumer.Queue,
            [.. wanted.Select(x => new EventBinding(x, KeyOf(projectId)))],
            [],
            cancellation
        );
    }

    /// <summary>Makes again what a lost broker forgot, and takes back what nobody wants.</summary>
    /// <exception cref="BrokerAwayException">Worth a later try.</exception>
    public async Task ReconcileAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        CancellationToken cancellation
    )
    {
        await LockAsync(connection, cancellation);
        var bound = new HashSet<EventBinding>();
        await using (var read = new NpgsqlCommand(BoundSql, connection, transaction))
        await using (var row = await read.ExecuteReaderAsync(cancellation))
        {
            while (await row.ReadAsync(cancellation))
                bound.Add(new EventBinding(row.GetString(0), row.GetString(1)));
        }

        var wanted = new HashSet<EventBinding>();
        await using (var read = new NpgsqlCommand(WantedSql, connection, transaction))
        await using (var row = await read.ExecuteReaderAsync(cancellation))
        {
            while (await row.ReadAsync(cancellation))
            {
                var key = KeyOf(row.IsDBNull(1) ? null : row.GetGuid(1));
                wanted.UnionWith(Events(row.GetFieldValue<string[]>(0)).Select(x => new EventBinding(x, key)));
            }
        }

        EventBinding[] unwanted = [.. bound.Except(wanted)];
        if (wanted.Count + unwanted.Length == 0)
            return; // Nobody uses webhooks: no connection for that.
        await binder.BindAsync(WebhookEventConsumer.Queue, [.. wanted], unwanted, cancellation);
        foreach (var (name, key) in unwanted)
        {
            await using var drop = new NpgsqlCommand(DropSql, connection, transaction);
            drop.Parameters.AddWithValue(name);
            drop.Parameters.AddWithValue(key);
            await drop.ExecuteNonQueryAsync(cancellation);
        }

        foreach (var group in wanted.Except(bound).GroupBy(x => x.RoutingKey, StringComparer.Ordinal))
        {
            await using var add = new NpgsqlCommand(AddSql, connection, transaction);
            add.Parameters.AddWithValue(group.Select(x => x.Event).ToArray());
            add.Parameters.AddWithValue(group.Key);
            await add.ExecuteNonQueryAsync(cancellation);
        }
    }

    private static IEnumerable<string> Events(IReadOnlyList<string> events) =>
        events.Count == 0 ? WebhookRules.Events : events;

    private static string KeyOf(Guid? projectId) => projectId is { } id ? WireNames.RoutingKeyOf(id) : AllProjects;
}
