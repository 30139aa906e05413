using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Webhooks;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>The table <c>webhook_deliveries</c>, as commands and events write it.</summary>
internal sealed class DeliveryLedger(NpgsqlDataSource source, TimeProvider clock)
{
    private const string StoreSql = """
        insert into pipeline.webhook_deliveries
            (subscription_id, message_id, event, project_id, body, state, attempts, replays, due_at, created_at)
        select s.id, $1, $2, $3, $4, 'pending', 0, 0, $5, $5
        from pipeline.webhook_subscriptions s
        where s.state = 'active' and (cardinality(s.events) = 0 or $2 = any(s.events))
            and (s.project_id is null or s.project_id = $3)
        on conflict (subscription_id, message_id) do nothing
        """;

    private const string PingSql = """
        insert into pipeline.webhook_deliveries
            (subscription_id, message_id, event, project_id, body, state, attempts, replays, due_at, created_at)
        select s.id, $2, 'webhook-ping', s.project_id, $3, 'pending', 0, 0, $4, $4
        from pipeline.webhook_subscriptions s where s.id = $1 and s.state = 'active'
        on conflict (subscription_id, message_id) do nothing
        """;

    private const string ReplaySql = """
        update pipeline.webhook_deliveries
        set state = 'pending', attempts = 0, replays = replays + 1, due_at = $3, ended_at = null
        where subscription_id = $1 and state <> 'pending'
            and case when $2::uuid[] is null then state = 'dead' else message_id = any($2) end
        """;

    private const string IsActiveSql =
        "select exists (select from pipeline.webhook_subscriptions where id = $1 and state = 'active')";

    private const string BurySql = """
        update pipeline.webhook_deliveries
        set state = 'dead', due_at = null, ended_at = now(), last_error = $2
        where subscription_id = $1 and state = 'pending'
        """;

    private static readonly Decision NotActive = Decision.Rejected(
        "subscriptionId: there is no active subscription of this id."
    );

    /// <summary>One delivery for each active subscription that wants the event; none where it has one already.</summary>
    public async Task StoreAsync(WebhookEvent message, CancellationToken cancellation)
    {
        await using var store = source.CreateCommand(StoreSql);
        store.Parameters.AddWithValue(message.MessageId);
        store.Parameters.AddWithValue(message.Event);
        store.Parameters.AddWithValue(NpgsqlDbType.Uuid, (object?)message.ProjectId ?? DBNull.Value);
        store.Parameters.AddWithValue(message.Body);
        store.Parameters.AddWithValue(clock.GetDatabaseNow());
        await store.ExecuteNonQueryAsync(cancellation);
    }

    public static async Task<Decision> PingAsync(CommandWork work, PingWebhook command)
    {
        var now = work.At;
        var body = new
        {
            type = "webhook.ping",
            timestamp = now,
            data = new { subscriptionId = command.SubscriptionId },
        };
        await using var ping = new NpgsqlCommand(PingSql, work.Connection, work.Transaction);
        ping.Parameters.AddWithValue(command.SubscriptionId);
        ping.Parameters.AddWithValue(command.CommandId);
        ping.Parameters.AddWithValue(WireJson.Write(body));
        ping.Parameters.AddWithValue(now);
        return await ping.ExecuteNonQueryAsync(work.Cancellation) == 1 ? Decision.Applied() : NotActive;
    }

    public static async Task<Decision> ReplayAsync(CommandWork work, ReplayWebhook command)
    {
        await using (var ask = new NpgsqlCommand(IsActiveSql, work.Connection, work.Transaction))
        {
            ask.Parameters.AddWithValue(command.SubscriptionId);
            if (!(bool)(await ask.ExecuteScalarAsync(work.Cancellation))!)
                return NotActive;
        }

        await using var replay = new NpgsqlCommand(ReplaySql, work.Connection, work.Transaction);
        replay.Parameters.AddWithValue(command.SubscriptionId);
        replay.Parameters.AddWithValue(
            NpgsqlDbType.Array | NpgsqlDbType.Uuid,
            (object?)command.MessageIds?.ToArray() ?? DBNull.Value
        );
        replay.Parameters.AddWithValue(work.At);
        var count = await replay.ExecuteNonQueryAsync(work.Cancellation);
        return count == 0
            ? Decision.Unchanged("There is no such delivery that has ended.")
            : Decision.Applied($"{count} to be delivered again.");
    }

    /// <summary>What still waits for a subscription that nobody delivers to becomes dead, where a person sees it.</summary>
    public static async Task BuryAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        Guid subscriptionId,
        string reason,
        CancellationToken cancellation
    )
    {
        await using var bury = new NpgsqlCommand(BurySql, connection, transaction);
        bury.Parameters.AddWithValue(subscriptionId);
        bury.Parameters.AddWithValue(reason);
        await bury.ExecuteNonQueryAsync(cancellation);
    }
}
