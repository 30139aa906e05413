using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Webhooks;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Webhooks;

/// <summary>The keeper of webhooks and a broker that is slow, or away.</summary>
public sealed class BindingTests(WebhookPipeline pipeline) : IClassFixture<WebhookPipeline>
{
    private readonly Guid _project = Guid.NewGuid();

    /// <summary>PostgreSQL ends a session whose transaction stands idle for some seconds.</summary>
    [Fact]
    public async Task While_the_broker_is_waited_for_no_transaction_stands_idle()
    {
        await using var receiver = await Receiver.StartAsync();
        await pipeline.SubscribeAsync(receiver.Url, _project, "scenes-defined");
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var bindings = Bindings($"amqp://a:b@{silent.LocalEndpoint}/x");

        foreach (
            var bind in (Func<CancellationToken, Task>[])
                [
                    bindings.ReconcileAsync,
                    x => bindings.HoldAsync(() => bindings.AddAsync(["scenes-defined"], _project, x), x),
                ]
        )
        {
            using var stop = new CancellationTokenSource();
            var binding = bind(stop.Token);
            using var connection = await silent.AcceptTcpClientAsync();
            // It waits for the broker's first word. Who has the lock has no transaction.
            (
                await pipeline.AskAsync(
                    """
                    select string_agg(a.state, ' ') from pg_locks l join pg_stat_activity a on a.pid = l.pid
                    where l.locktype = 'advisory' and l.granted and l.classid = $1::int::oid
                        and l.database = (select oid from pg_database where datname = current_database())
                    """,
                    (int)LockUse.WebhookBindings
                )
            ).ShouldBe("idle");

            await stop.CancelAsync();
            await Should.ThrowAsync<Exception>(() => binding);
        }
    }

    [Fact]
    public async Task Backlogs_and_old_deliveries_are_kept_within_bounds_while_the_broker_is_away()
    {
        var subscription = await PlantAsync(Guid.NewGuid(), new Uri("http://127.0.0.1:9"));
        await DeliverAsync(subscription, "pending", WebhookPipeline.BacklogLimit + 1);
        await DeliverAsync(subscription, "dead", 1);
        var keeper = new WebhookKeeper(
            pipeline.Database,
            Bindings("amqp://a:b@127.0.0.1:9/x"),
            pipeline.Services.GetRequiredService<DeliveryTurns>(),
            pipeline.Services.GetRequiredService<WebhookOptions>(),
            TimeProvider.System,
            NullLogger<WebhookKeeper>.Instance
        );

        await keeper.KeepAsync(CancellationToken.None);

        (
            await pipeline.AskAsync("select state from pipeline.webhook_subscriptions where id = $1", subscription)
        ).ShouldBe("disabled");
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.webhook_deliveries where subscription_id = $1 and ended_at < now() - interval '1 year'",
                subscription
            )
        ).ShouldBe("0");
    }

    [Fact]
    public async Task More_bindings_than_one_look_makes_are_made_by_the_next_ones()
    {
        await using var receiver = await Receiver.StartAsync();
        Guid[] projects = [.. Enumerable.Range(0, 20).Select(_ => Guid.NewGuid())];
        foreach (var project in projects)
            await PlantAsync(project, receiver.Url);
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        (
            await pipeline.AskAsync("select count(*) > $1 from pipeline.webhook_bindings", WebhookBindings.AtOnce)
        ).ShouldBe("True");
        foreach (var project in projects)
            await pipeline.UnbindAsync("webhook-events", "scenes-defined", project.ToString());

        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        foreach (var project in projects)
            await pipeline.TellAsync(project); // Mandatory: without its binding the broker would give it back.

        await pipeline.AskAsync(
            "delete from pipeline.webhook_subscriptions where project_id = any($1) returning 1",
            projects
        );
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.webhook_bindings where routing_key = any($1)",
                (object)projects.Select(x => x.ToString()).ToArray()
            )
        ).ShouldBe("0");
    }

    /// <summary>A subscription that was never bound, as after the broker was lost.</summary>
    private async Task<Guid> PlantAsync(Guid project, Uri url)
    {
        var id = Guid.NewGuid();
        await pipeline.AskAsync(
            """
            insert into pipeline.webhook_subscriptions
                (id, url, events, project_id, secret, state, lease_until, created_at, updated_at)
            values ($1, $2, '{}', $3, $4, 'active', now(), now(), now()) returning 1
            """,
            id,
            url.ToString(),
            project,
            WebhookPipeline.Secret
        );
        return id;
    }

    private Task<string?> DeliverAsync(Guid subscription, string state, int count) =>
        pipeline.AskAsync(
            """
            insert into pipeline.webhook_deliveries
                (subscription_id, message_id, event, body, state, attempts, replays, due_at, created_at, ended_at)
            select $1, gen_random_uuid(), 'scenes-defined', '', $2, 0, 0,
                   case when $2 = 'pending' then now() + interval '1 hour' end, now(),
                   case when $2 <> 'pending' then now() - interval '2 years' end
            from generate_series(1, $3) returning 1
            """,
            subscription,
            state,
            count
        );

    private WebhookBindings Bindings(string broker) =>
        new(pipeline.Database, new EventBinder(new MessagingOptions(new Uri(broker))));
}
