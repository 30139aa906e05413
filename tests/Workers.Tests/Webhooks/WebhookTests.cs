using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Webhooks;
using Pipeline.Workers.Webhooks;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Webhooks;

/// <summary>What receivers get, and what becomes of a delivery.</summary>
public sealed class WebhookTests(WebhookPipeline pipeline) : IClassFixture<WebhookPipeline>
{
    private readonly Guid _project = Guid.NewGuid();

    [Fact]
    public async Task Event_comes_signed_with_type_timestamp_and_data()
    {
        await using var receiver = await Receiver.StartAsync();
        await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        (await pipeline.UntilAsync(id, "delivered")).ShouldBe("200 after 1");
        var received = receiver.All.ShouldHaveSingleItem();
        received.Id.ShouldBe(id.ToString());
        received.IsSigned.ShouldBeTrue();
        received.Body.GetProperty("type").GetString().ShouldBe("scenes.defined");
        received.Body.GetProperty("timestamp").GetDateTimeOffset().ShouldBe(DateTimeOffset.UnixEpoch);
        received.Body.GetProperty("data").GetProperty("projectId").GetGuid().ShouldBe(_project);
    }

    [Fact]
    public async Task Failure_is_tried_again_under_the_same_id()
    {
        await using var receiver = await Receiver.StartAsync(500, 404);
        await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        (await pipeline.UntilAsync(id, "delivered")).ShouldBe("200 after 3");
        receiver.All.Select(x => x.Id).ShouldBe([id.ToString(), id.ToString(), id.ToString()]);
        receiver.All.ShouldAllBe(x => x.IsSigned);
    }

    [Fact]
    public async Task Delivery_is_dead_after_its_last_attempt_and_a_person_can_replay_it()
    {
        await using var receiver = await Receiver.StartAsync(500, 500, 503);
        var subscription = await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        (await pipeline.UntilAsync(id, "dead")).ShouldBe("503 The receiver answered 503. after 3");
        var replay = new ReplayWebhook(Guid.NewGuid(), subscription, MessageIds: null);
        (await pipeline.EndAsync(replay, replay.CommandId)).ShouldBe("applied: 1 to be delivered again.");
        (await pipeline.UntilAsync(id, "delivered")).ShouldBe("200 after 1");
        receiver.All.Select(x => x.Id).Distinct(StringComparer.Ordinal).ShouldBe([id.ToString()]);
        receiver.All.Length.ShouldBe(4);
    }

    [Fact]
    public async Task Redirect_is_a_failure_and_is_not_followed()
    {
        await using var elsewhere = await Receiver.StartAsync();
        await using var receiver = await Receiver.StartAsync(
            (context, _) =>
            {
                context.Response.Redirect(elsewhere.Url.ToString());
                return Task.CompletedTask;
            }
        );
        await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        (await pipeline.UntilAsync(id, "dead")).ShouldBe("302 The receiver answered 302. after 3");
        elsewhere.All.ShouldBeEmpty();
    }

    [Fact]
    public async Task Gone_disables_the_subscription_and_says_so()
    {
        await using var receiver = await Receiver.StartAsync(410);
        var subscription = await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        (await pipeline.UntilAsync(id, "dead")).ShouldBe("410 The receiver answered 410. after 1");
        (
            await pipeline.AskAsync(
                "select concat_ws(': ', state, state_reason) from status.webhook_subscriptions where id = $1",
                subscription
            )
        ).ShouldBe("disabled: The receiver answered 410 Gone.");
        (
            await pipeline.AskAsync(
                """
                select convert_from(body, 'UTF8')::json->>'subscriptionId' from pipeline.outbox
                where exchange = 'webhook-disabled' and routing_key = $1
                """,
                _project.ToString()
            )
        ).ShouldBe(subscription.ToString());
        var replay = new ReplayWebhook(Guid.NewGuid(), subscription, [id]);
        (await pipeline.EndAsync(replay, replay.CommandId)).ShouldStartWith("rejected: subscriptionId: ");
    }

    [Fact]
    public async Task Retry_after_puts_the_next_attempt_off()
    {
        await using var receiver = await Receiver.StartAsync(
            (context, _) =>
            {
                context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
                context.Response.Headers.RetryAfter = "3600";
                return Task.CompletedTask;
            }
        );
        await pipeline.SubscribeAsync(receiver.Url, _project);
        var id = await pipeline.TellAsync(_project);

        await pipeline.WaitForAsync(
            """
            select 'later' from status.webhook_deliveries
            where message_id = $1 and state = 'pending' and due_at > now() + interval '50 minutes'
            """,
            id
        );
        receiver.All.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Receiver_inside_this_network_is_not_reached_unless_it_is_allowed()
    {
        await using var receiver = await Receiver.StartAsync();
        using var sender = new WebhookSender(new WebhookOptions(), TimeProvider.System);

        var result = await sender.SendAsync(To(receiver.Url), CancellationToken.None);

        result.ShouldBe(new AttemptResult(Status: null, "The name has no address on the public internet."));
        receiver.All.ShouldBeEmpty();
    }

    [Fact]
    public async Task Receiver_that_does_not_answer_in_time_has_failed()
    {
        await using var receiver = await Receiver.StartAsync(
            (context, _) => Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted)
        );
        var options = new WebhookOptions { AllowPrivateNetworks = true, AttemptTimeout = TimeSpan.FromSeconds(0.5) };
        using var sender = new WebhookSender(options, TimeProvider.System);

        var result = await sender.SendAsync(To(receiver.Url), CancellationToken.None);

        result.ShouldBe(new AttemptResult(Status: null, "No answer within 0.5 s."));
    }

    [Fact]
    public async Task Event_that_comes_twice_is_delivered_once_and_only_to_those_who_want_it()
    {
        await using var receiver = await Receiver.StartAsync();
        await using var others = await Receiver.StartAsync();
        await pipeline.SubscribeAsync(receiver.Url, _project, "scenes-defined");
        await pipeline.SubscribeAsync(others.Url, _project, "image-saved");
        await pipeline.SubscribeAsync(others.Url, Guid.NewGuid(), "scenes-defined");
        var id = await pipeline.TellAsync(_project);
        await pipeline.TellAsync(_project, id);
        var last = await pipeline.TellAsync(_project);

        await pipeline.UntilAsync(last, "delivered");
        receiver.All.Select(x => x.Id).ShouldBe([id.ToString(), last.ToString()]);
        others.All.ShouldBeEmpty();
    }

    private static DueDelivery To(Uri url) =>
        new(1, Guid.NewGuid(), Guid.NewGuid(), "{}"u8.ToArray(), 1, url.ToString(), WebhookPipeline.Secret);
}
