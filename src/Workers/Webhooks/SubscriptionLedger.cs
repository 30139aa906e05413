using System.Security.Cryptography;
using System.Text;
using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>The table <c>webhook_subscriptions</c>.</summary>
internal sealed class SubscriptionLedger(WebhookOptions options)
{
    private const string CountSql =
        "select count(*) from pipeline.webhook_subscriptions where state <> 'removed' and id <> $1";

    private const string SubscribeSql = """
        insert into pipeline.webhook_subscriptions as s
            (id, url, events, project_id, secret, state, lease_until, created_at, updated_at)
        values ($1, $2, $3, $4, $5, 'active', $6, $6, $6)
        on conflict (id) do update
            set url = excluded.url, events = excluded.events, project_id = excluded.project_id, secret = excluded.secret,
                state = 'active', state_reason = null, updated_at = excluded.updated_at
            where (s.url, s.events, s.project_id, s.secret, s.state)
                is distinct from (excluded.url, excluded.events, excluded.project_id, excluded.secret, 'active')
        """;

    private const string RemoveSql = """
        update pipeline.webhook_subscriptions
        set state = 'removed', state_reason = null, secret = null, updated_at = $2
        where id = $1 and state <> 'removed'
        """;

    /// <summary>Tells two secrets apart and gives neither away: they are random, and long.</summary>
    public static string Fingerprint(string? secret) =>
        $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret ?? "")))}";

    /// <summary>The caller holds the lock of <see cref="WebhookBindings"/>, and has bound the events.</summary>
    public async Task<Decision> SubscribeAsync(CommandWork work, SubscribeWebhook command)
    {
        var (connection, transaction, cancellation) = (work.Connection, work.Transaction, work.Cancellation);
        await using (var count = new NpgsqlCommand(CountSql, connection, transaction))
        {
            count.Parameters.AddWithValue(command.SubscriptionId);
            if ((long)(await count.ExecuteScalarAsync(cancellation))! >= options.SubscriptionLimit)
                return Decision.Rejected($"There are {options.SubscriptionLimit} subscriptions, as many as may be.");
        }

        string[] events = [.. (command.Events ?? []).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        await using var subscribe = new NpgsqlCommand(SubscribeSql, connection, transaction);
        subscribe.Parameters.AddWithValue(command.SubscriptionId);
        subscribe.Parameters.AddWithValue(command.Url);
        subscribe.Parameters.AddWithValue(events);
        subscribe.Parameters.AddWithValue(NpgsqlDbType.Uuid, (object?)command.ProjectId ?? DBNull.Value);
        subscribe.Parameters.AddWithValue(command.Secret);
        subscribe.Parameters.AddWithValue(work.At);
        return await subscribe.ExecuteNonQueryAsync(cancellation) == 0
            ? Decision.Unchanged("It is subscribed so already.")
            : Decision.Applied();
    }

    public static async Task<Decision> RemoveAsync(CommandWork work, Guid subscriptionId)
    {
        var (connection, transaction, cancellation) = (work.Connection, work.Transaction, work.Cancellation);
        await using var remove = new NpgsqlCommand(RemoveSql, connection, transaction);
        remove.Parameters.AddWithValue(subscriptionId);
        remove.Parameters.AddWithValue(work.At);
        if (await remove.ExecuteNonQueryAsync(cancellation) == 0)
            return Decision.Unchanged("There is no such subscription.");

        await DeliveryLedger.BuryAsync(connection, transaction, subscriptionId, "It was unsubscribed.", cancellation);
        return Decision.Applied();
    }
}
