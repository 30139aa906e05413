using Npgsql;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Webhooks;

/// <summary>Keeps webhooks within their bounds: bindings as the subscriptions want them, backlogs, old deliveries.</summary>
internal sealed partial class WebhookKeeper(
    NpgsqlDataSource source,
    WebhookBindings bindings,
    DeliveryTurns turns,
    WebhookOptions options,
    TimeProvider clock,
    ILogger<WebhookKeeper> logger
) : Sweeper(Every, clock, logger)
{
    private const int DeleteLimit = 1_000;

    private static readonly TimeSpan Every = TimeSpan.FromSeconds(30);

    private const string OverfullSql = """
        select s.id from pipeline.webhook_subscriptions s
        where (select count(*) from (
                   select from pipeline.webhook_deliveries d
                   where d.subscription_id = s.id and d.state = 'pending' order by d.id limit $1 + 1) w) > $1
        """;

    private const string ForgetSql = """
        delete from pipeline.webhook_deliveries where id in (
            select id from pipeline.webhook_deliveries where ended_at < $1 order by ended_at limit $2
            for update skip locked)
        """;

    private const string ForgetSubscriptionsSql = """
        delete from pipeline.webhook_subscriptions s where s.state = 'removed' and s.updated_at < $1
            and not exists (select from pipeline.webhook_deliveries d where d.subscription_id = s.id)
        """;

    internal Task KeepAsync(CancellationToken stopping) => SweepAsync(stopping);

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        await ByItselfAsync(bindings.ReconcileAsync, stopping);
        await ByItselfAsync(DisableOverfullAsync, stopping);
        await ByItselfAsync(ForgetAsync, stopping);
    }

    /// <summary>A broker that is away, or slow, lifts no bound.</summary>
    private async Task ByItselfAsync(Func<CancellationToken, Task> duty, CancellationToken stopping)
    {
        try
        {
            await duty(stopping);
        }
        catch (Exception e) when (!stopping.IsCancellationRequested && e is not OutOfMemoryException)
        {
            DutyFailed(Transience.IsOutage(e) || e is BrokerAwayException ? null : e, e.Message);
        }
    }

    private async Task DisableOverfullAsync(CancellationToken stopping)
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        foreach (var subscription in await OverfullAsync(connection, stopping))
        {
            await using var transaction = await connection.BeginTransactionAsync(stopping);
            var reason = $"More than {options.BacklogLimit} deliveries waited for it.";
            await turns.DisableAsync(connection, transaction, subscription, reason, stopping);
            await transaction.CommitAsync(stopping);
            Overfull(subscription, options.BacklogLimit);
        }
    }

    private async Task<List<Guid>> OverfullAsync(NpgsqlConnection connection, CancellationToken stopping)
    {
        await using var command = new NpgsqlCommand(OverfullSql, connection);
        command.Parameters.AddWithValue(options.BacklogLimit);
        await using var row = await command.ExecuteReaderAsync(stopping);
        var overfull = new List<Guid>();
        while (await row.ReadAsync(stopping))
            overfull.Add(row.GetGuid(0));
        return overfull;
    }

    private async Task ForgetAsync(CancellationToken stopping)
    {
        await using var connection = await source.OpenConnectionAsync(stopping);
        var before = Clock.GetUtcNow() - options.Retention;
        int deleted;
        do
        {
            await using var forget = new NpgsqlCommand(ForgetSql, connection);
            forget.Parameters.AddWithValue(before);
            forget.Parameters.AddWithValue(DeleteLimit);
            deleted = await forget.ExecuteNonQueryAsync(stopping);
        } while (deleted == DeleteLimit);

        await using var rest = new NpgsqlCommand(ForgetSubscriptionsSql, connection);
        rest.Parameters.AddWithValue(before);
        await rest.ExecuteNonQueryAsync(stopping);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhooks are kept within bounds again later: {Error}")]
    private partial void DutyFailed(Exception? exception, string error);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "Subscription {SubscriptionId} is disabled: more than {Limit} deliveries waited for it"
    )]
    private partial void Overfull(Guid subscriptionId, int limit);
}
