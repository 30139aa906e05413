using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Webhooks;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>A delivery whose attempt has begun.</summary>
internal sealed record DueDelivery(
    long Id,
    Guid SubscriptionId,
    Guid MessageId,
    byte[] Body,
    int Attempt,
    string Url,
    string Secret
);

/// <summary>
/// Turns: for a while one worker alone delivers to a subscription, so that its events go out one after the other. The
/// turn of a worker that dies ends by itself.
/// </summary>
internal sealed class DeliveryTurns(NpgsqlDataSource source, WebhookOptions options, TimeProvider clock)
{
    // Who waited longest comes first.
    private const string TakeSql = """
        update pipeline.webhook_subscriptions set lease_id = gen_random_uuid(), lease_until = now() + $2
        where id in (
            select s.id from pipeline.webhook_subscriptions s
            where s.state = 'active' and s.lease_until <= now() and exists (
                select from pipeline.webhook_deliveries d
                where d.subscription_id = s.id and d.state = 'pending' and d.due_at <= now())
            order by s.lease_until limit $1 for update skip locked)
        returning id, lease_id
        """;

    // An attempt counts when it begins: one whose worker dies is not for ever the first.
    private const string BeginSql = """
        with held as (
            update pipeline.webhook_subscriptions set lease_until = now() + $3
            where id = $1 and lease_id = $2 and state = 'active' and lease_until > now()
            returning id, url, secret)
        update pipeline.webhook_deliveries d set attempts = attempts + 1, attempted_at = now()
        from held
        where d.id = (
            select x.id from pipeline.webhook_deliveries x
            where x.subscription_id = held.id and x.state = 'pending' and x.due_at <= now()
            order by x.id limit 1)
        returning d.id, d.subscription_id, d.message_id, d.body, d.attempts, held.url, held.secret
        """;

    // Attempt numbers only rise until a replay, so what a late worker says of an older attempt changes nothing.
    private const string EndSql = """
        update pipeline.webhook_deliveries
        set state = $3, due_at = $4, ended_at = case when $4 is null then $5 end, last_status = $6, last_error = $7
        where id = $1 and attempts = $2 and state = 'pending'
        """;

    private const string GiveBackSql =
        "update pipeline.webhook_subscriptions set lease_until = now() where id = $1 and lease_id = $2";

    private const string DisableSql = """
        update pipeline.webhook_subscriptions set state = 'disabled', state_reason = $2, updated_at = $3
        where id = $1 and state = 'active' returning project_id
        """;

    /// <summary>Takes the turns of subscriptions with something due that nobody delivers to.</summary>
    public async Task<List<(Guid SubscriptionId, Guid Lease)>> TakeAsync(int limit, CancellationToken cancellation)
    {
        await using var take = source.CreateCommand(TakeSql);
        take.Parameters.AddWithValue(limit);
        take.Parameters.AddWithValue(options.LeaseLength);
        await using var row = await take.ExecuteReaderAsync(cancellation);
        var turns = new List<(Guid, Guid)>();
        while (await row.ReadAsync(cancellation))
            turns.Add((row.GetGuid(0), row.GetGuid(1)));
        return turns;
    }

    /// <summary>Begins the attempt of the turn's next due delivery, and renews the turn for as long as it may take.</summary>
    /// <returns>Null where nothing is due, or the turn is another's by now.</returns>
    public async Task<DueDelivery?> BeginAsync(Guid subscriptionId, Guid lease, CancellationToken cancellation)
    {
        await using var begin = source.CreateCommand(BeginSql);
        begin.Parameters.AddWithValue(subscriptionId);
        begin.Parameters.AddWithValue(lease);
        begin.Parameters.AddWithValue(options.LeaseLength);
        await using var row = await begin.ExecuteReaderAsync(cancellation);
        return await row.ReadAsync(cancellation)
            ? new DueDelivery(
                row.GetInt64(0),
                row.GetGuid(1),
                row.GetGuid(2),
                row.GetFieldValue<byte[]>(3),
                row.GetInt32(4),
                row.GetString(5),
                row.GetString(6)
            )
            : null;
    }

    /// <summary>Records the attempt: delivered, to be tried again, or dead. A receiver that is gone is disabled.</summary>
    /// <returns>The delivery's state.</returns>
    public async Task<string> EndAsync(DueDelivery delivery, AttemptResult result, CancellationToken cancellation)
    {
        var now = clock.GetDatabaseNow();
        var pause = result.IsGone ? null : options.PauseAfter(delivery.Attempt, Random.Shared.NextDouble());
        DateTimeOffset? due =
            result.Error is null || pause is null ? null : now + Longer(pause.Value, result.RetryAfter);
        var state =
            result.Error is null ? "delivered"
            : due is null ? "dead"
            : "pending";

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using (var end = new NpgsqlCommand(EndSql, connection, transaction))
        {
            end.Parameters.AddWithValue(delivery.Id);
            end.Parameters.AddWithValue(delivery.Attempt);
            end.Parameters.AddWithValue(state);
            end.Parameters.AddWithValue(NpgsqlDbType.TimestampTz, (object?)due ?? DBNull.Value);
            end.Parameters.AddWithValue(now);
            end.Parameters.AddWithValue(NpgsqlDbType.Integer, (object?)result.Status ?? DBNull.Value);
            end.Parameters.AddWithValue(NpgsqlDbType.Text, (object?)result.Error ?? DBNull.Value);
            await end.ExecuteNonQueryAsync(cancellation);
        }

        if (result.IsGone)
            await DisableAsync(
                connection,
                transaction,
                delivery.SubscriptionId,
                "The receiver answered 410 Gone.",
                cancellation
            );
        await transaction.CommitAsync(cancellation);
        return state;
    }

    public async Task GiveBackAsync(Guid subscriptionId, Guid lease, CancellationToken cancellation)
    {
        await using var giveBack = source.CreateCommand(GiveBackSql);
        giveBack.Parameters.AddWithValue(subscriptionId);
        giveBack.Parameters.AddWithValue(lease);
        await giveBack.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Stops a subscription, buries what waits for it and announces it, in the caller's transaction.</summary>
    public async Task DisableAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid subscriptionId,
        string reason,
        CancellationToken cancellation
    )
    {
        var now = clock.GetDatabaseNow();
        await using var disable = new NpgsqlCommand(DisableSql, connection, transaction);
        disable.Parameters.AddWithValue(subscriptionId);
        disable.Parameters.AddWithValue(reason);
        disable.Parameters.AddWithValue(now);
        if (await disable.ExecuteScalarAsync(cancellation) is not { } project)
            return;

        await DeliveryLedger.BuryAsync(connection, transaction, subscriptionId, reason, cancellation);
        var projectId = project is Guid id ? id : Guid.Empty;
        var told = new WebhookDisabled(subscriptionId, projectId, reason, now);
        var message = new WireMessage(
            WireNames.ExchangeOf<WebhookDisabled>(),
            WireNames.RoutingKeyOf(projectId),
            Guid.NewGuid(),
            WireJson.Write(told),
            Mandatory: false
        );
        await Outbox.AppendAsync(connection, transaction, [message], cancellation);
    }

    private static TimeSpan Longer(TimeSpan pause, TimeSpan? wish) => wish > pause ? wish.Value : pause;
}
