using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Webhooks;

/// <summary>A row of <c>status.webhook_subscriptions</c>, which has no secret.</summary>
internal sealed record SubscriptionRow(
    Guid Id,
    string Url,
    IReadOnlyList<string> Events,
    Guid? ProjectId,
    string State,
    string? StateReason,
    long Pending,
    long Dead,
    DateTimeOffset? DeliveredAt,
    DateTimeOffset CreatedAt
);

/// <summary>A row of <c>status.webhook_deliveries</c>.</summary>
internal sealed record DeliveryRow(
    Guid SubscriptionId,
    Guid MessageId,
    string Event,
    Guid? ProjectId,
    string State,
    int Attempts,
    int Replays,
    DateTimeOffset? DueAt,
    int? LastStatus,
    string? LastError,
    DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt
);

/// <summary>Who wants which events, and what became of them.</summary>
internal sealed class WebhookReads(StatusDatabase database)
{
    /// <param name="all">Removed ones too.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<SubscriptionRow>> SubscriptionsAsync(bool all, CancellationToken cancellation) =>
        database.ReadAsync(
            """
            select id, url, events, project_id, state, state_reason, pending, dead, delivered_at, created_at
            from status.webhook_subscriptions where $1 or state <> 'removed' order by created_at, id
            """,
            x => new SubscriptionRow(
                x.GetGuid(0),
                x.GetString(1),
                x.GetFieldValue<string[]>(2),
                x.Nullable<Guid>(3),
                x.GetString(4),
                x.Text(5),
                x.GetInt64(6),
                x.GetInt64(7),
                x.Nullable<DateTimeOffset>(8),
                x.GetFieldValue<DateTimeOffset>(9)
            ),
            cancellation,
            all
        );

    /// <param name="subscription">Whose.</param>
    /// <param name="state"><c>pending</c>, <c>delivered</c>, <c>dead</c>, or null for all.</param>
    /// <param name="page">Newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<DeliveryRow>> DeliveriesAsync(
        Guid subscription,
        string? state,
        Page page,
        CancellationToken cancellation
    ) =>
        database.ReadAsync(
            """
            select subscription_id, message_id, event, project_id, state, attempts, replays, due_at, last_status,
                   last_error, created_at, ended_at
            from status.webhook_deliveries where subscription_id = $1 and ($2::text is null or state = $2)
            order by id desc limit $3 offset $4
            """,
            x => new DeliveryRow(
                x.GetGuid(0),
                x.GetGuid(1),
                x.GetString(2),
                x.Nullable<Guid>(3),
                x.GetString(4),
                x.GetInt32(5),
                x.GetInt32(6),
                x.Nullable<DateTimeOffset>(7),
                x.Nullable<int>(8),
                x.Text(9),
                x.GetFieldValue<DateTimeOffset>(10),
                x.Nullable<DateTimeOffset>(11)
            ),
            cancellation,
            subscription,
            state,
            page.Limit,
            page.Offset
        );
}
