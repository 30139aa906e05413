using Pipeline.Contracts.Webhooks;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Webhooks;

/// <summary>What operators ask for, and what keeps subscriptions within their bounds.</summary>
public sealed class SubscriptionTests(WebhookPipeline pipeline) : IClassFixture<WebhookPipeline>
{
    private readonly Guid _project = Guid.NewGuid();

    [Fact]
    public async Task What_breaks_a_rule_is_rejected_with_field_and_rule()
    {
        var good = new SubscribeWebhook(
            Guid.NewGuid(),
            Guid.NewGuid(),
            "https://example.org/hook",
            Events: null,
            ProjectId: null,
            WebhookPipeline.Secret
        );
        (SubscribeWebhook Command, string Reason)[] cases =
        [
            (good with { SubscriptionId = Guid.Empty }, "subscriptionId: "),
            (good with { Url = "ftp://example.org" }, "url: must be http or https."),
            (good with { Url = "https://user:secret@example.org" }, "url: must not contain a user name or password."),
            (good with { Url = "hook" }, "url: must be an absolute URL."),
            (good with { Events = ["image-painted"] }, "events: 'image-painted' is no event of this pipeline."),
            (good with { Events = ["render-succeeded"] }, "events: 'render-succeeded' is no event of this pipeline."),
            (good with { ProjectId = Guid.Empty }, "projectId: "),
            (good with { Secret = "whsec_short" }, "secret: must be whsec_ and Base64 of 24 to 64 bytes."),
        ];
        foreach (var (command, reason) in cases)
        {
            var sent = command with { CommandId = Guid.NewGuid() };
            (await pipeline.EndAsync(sent, sent.CommandId)).ShouldStartWith($"rejected: {reason}");
        }
    }

    [Fact]
    public async Task Secret_is_shown_by_no_view_no_receipt_and_no_kept_conflict()
    {
        await using var receiver = await Receiver.StartAsync();
        var command = new SubscribeWebhook(
            Guid.NewGuid(),
            Guid.NewGuid(),
            receiver.Url.ToString(),
            Events: null,
            _project,
            WebhookPipeline.Secret
        );
        (await pipeline.EndAsync(command, command.CommandId)).ShouldBe("applied");
        await pipeline.UntilAsync(await pipeline.TellAsync(_project), "delivered");
        // Another secret under the same id is a conflict, whose content is kept.
        var other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        await pipeline.EndAsync(command with { Secret = other }, command.CommandId);
        await pipeline.WaitForAsync(
            "select 'kept' from pipeline.receipt_conflicts where command_id = $1",
            command.CommandId
        );

        var views = await TextsAsync(
            "select format('%I.%I', schemaname, viewname) from pg_views where schemaname = 'status'"
        );
        views.ShouldContain(x => x == "status.webhook_subscriptions");
        foreach (
            var view in views.Append("pipeline.receipts").Append("pipeline.receipt_conflicts").Append("pipeline.outbox")
        )
        {
            var rows = string.Join('\n', await TextsAsync($"select x::text from {view} x"));
            rows.ShouldNotContain(WebhookPipeline.Secret, Case.Sensitive, view);
            rows.ShouldNotContain(other, Case.Sensitive, view);
            rows.ShouldNotContain("in-the-query", Case.Sensitive, view);
        }
    }

    [Fact]
    public async Task Command_that_comes_again_changes_nothing_a_second_time()
    {
        await using var receiver = await Receiver.StartAsync(500, 500, 500, 500, 500, 500);
        var subscription = await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);
        await pipeline.UntilAsync(id, "dead");
        var replay = new ReplayWebhook(Guid.NewGuid(), subscription, MessageIds: null);
        await pipeline.EndAsync(replay, replay.CommandId);
        await pipeline.WaitForAsync(
            "select 'dead' from status.webhook_deliveries where message_id = $1 and state = 'dead' and replays = 1",
            id
        );

        await pipeline.EndAsync(replay, replay.CommandId); // Finds the first one's receipt.
        var ping = new PingWebhook(Guid.NewGuid(), subscription);
        await pipeline.EndAsync(ping, ping.CommandId);
        await pipeline.UntilAsync(ping.CommandId, "delivered"); // Behind the repetition, in the same queue.
        (
            await pipeline.AskAsync("select state || replays from status.webhook_deliveries where message_id = $1", id)
        ).ShouldBe("dead1");
        receiver.All[^1].Body.GetProperty("type").GetString().ShouldBe("webhook.ping");
    }

    [Fact]
    public async Task Unsubscribed_gets_nothing_more_and_its_secret_and_bindings_are_gone()
    {
        await using var receiver = await Receiver.StartAsync();
        var subscription = await pipeline.SubscribeAsync(receiver.Url, _project, "scenes-defined");
        await pipeline.UntilAsync(await pipeline.TellAsync(_project), "delivered");

        var remove = new UnsubscribeWebhook(Guid.NewGuid(), subscription);
        (await pipeline.EndAsync(remove, remove.CommandId)).ShouldBe("applied");
        (
            await pipeline.AskAsync("select secret from pipeline.webhook_subscriptions where id = $1", subscription)
        ).ShouldBeNull();
        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        // Mandatory, and no queue is bound for this project any more.
        await Should.ThrowAsync<PublishException>(() => pipeline.TellAsync(_project));
    }

    [Fact]
    public async Task Bindings_that_the_broker_has_lost_are_made_again()
    {
        await using var receiver = await Receiver.StartAsync();
        await pipeline.SubscribeAsync(receiver.Url, _project, "scenes-defined");
        await pipeline.UnbindAsync("webhook-events", "scenes-defined", _project.ToString());

        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        // Mandatory: without its binding the broker would give it back.
        await pipeline.UntilAsync(await pipeline.TellAsync(_project), "delivered");
    }

    [Fact]
    public async Task Subscription_with_too_large_a_backlog_is_disabled()
    {
        await using var receiver = await Receiver.StartAsync(
            (context, _) => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted)
        );
        var subscription = await pipeline.SubscribeAsync(receiver.Url, _project);
        for (var i = 0; i <= WebhookPipeline.BacklogLimit; i++)
            await pipeline.TellAsync(_project);
        await pipeline.WaitForAsync(
            $"""
            select 'all' from status.webhook_subscriptions where id = $1 and pending + dead > {WebhookPipeline.BacklogLimit}
            """,
            subscription
        );

        await pipeline.Keeper.KeepAsync(CancellationToken.None);
        (
            await pipeline.AskAsync(
                "select concat_ws(' ', state, pending, dead) from status.webhook_subscriptions where id = $1",
                subscription
            )
        ).ShouldBe($"disabled 0 {WebhookPipeline.BacklogLimit + 1}");
    }

    private async Task<List<string>> TextsAsync(string sql)
    {
        await using var command = pipeline.Database.CreateCommand(sql);
        await using var row = await command.ExecuteReaderAsync();
        var texts = new List<string>();
        while (await row.ReadAsync())
            texts.Add(row.GetString(0));
        return texts;
    }
}
