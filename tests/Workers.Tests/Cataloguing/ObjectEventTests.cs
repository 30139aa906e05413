using System.Text.Json;
using Pipeline.Workers.Cataloguing;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>Notifications on the queue <c>object-events</c>, published as a store does.</summary>
public sealed class ObjectEventTests(CatalogPipeline pipeline) : IClassFixture<CatalogPipeline>
{
    [Fact]
    public async Task Put_and_deletion_are_followed()
    {
        await pipeline.PutAsync("a+b c.png", "four");
        await TellAsync("ObjectCreated:Put", "a%2Bb+c.png", "01");
        await UntilAsync("a+b c.png", "4 image/png 01");

        await pipeline.Store.DeleteAsync("a+b c.png", default);
        await TellAsync("ObjectRemoved:Delete", "a%2Bb+c.png", "02");
        await UntilAsync("a+b c.png", "gone 02");
    }

    [Fact]
    public async Task Old_event_never_undoes_a_newer_one()
    {
        const string Key = "order.png";
        await pipeline.PutAsync(Key, "four");
        await TellAsync("ObjectCreated:Put", Key, "0A2");
        await UntilAsync(Key, "4 image/png 0A2");
        var changed = await ChangedAsync(Key);

        // Late, and the same one again: passed over without a look at the store.
        await (await TellAsync("ObjectRemoved:Delete", Key, "0A1"));
        await (await TellAsync("ObjectRemoved:Delete", Key, "0A2"));
        (await ChangedAsync(Key)).ShouldBe(changed);

        // After a deletion its sequencer is remembered too.
        await pipeline.Store.DeleteAsync(Key, default);
        await TellAsync("ObjectRemoved:Delete", Key, "0B");
        await UntilAsync(Key, "gone 0B");
        changed = await ChangedAsync(Key);
        await (await TellAsync("ObjectCreated:Put", Key, "0A9"));
        (await ChangedAsync(Key)).ShouldBe(changed);
        (await pipeline.AskAsync("select count(*) from status.catalog where key = $1", Key)).ShouldBe("0");
    }

    [Fact]
    public async Task Events_in_any_order_end_as_the_store_does()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var events = new List<(string Name, string Key, string Sequencer)>();
        for (var i = 1; i <= 60; i++)
        {
            var key = $"shuffled/{random.Next(6)}.png";
            var isPut = random.Next(2) == 0;
            if (isPut)
                await pipeline.PutAsync(key, new string('x', i));
            else
                await pipeline.Store.DeleteAsync(key, default);
            events.Add((isPut ? "ObjectCreated:Put" : "ObjectRemoved:Delete", key, $"{i:X4}"));
        }

        foreach (var (name, key, sequencer) in events.OrderBy(_ => random.Next()).Concat(events.Take(20)))
            await TellAsync(name, key, sequencer);
        foreach (var last in events.GroupBy(x => x.Key, StringComparer.Ordinal).Select(x => x.Last()))
        {
            var stored = await pipeline.Store.HeadAsync(last.Key, default);
            await UntilAsync(
                last.Key,
                stored is null ? $"gone {last.Sequencer}" : $"{stored.Size} image/png {last.Sequencer}",
                $"seed {seed}"
            );
        }
    }

    [Fact]
    public async Task What_the_store_does_not_confirm_is_not_believed()
    {
        await TellAsync("ObjectCreated:Put", "never-put.png", "01");
        await UntilAsync("never-put.png", "gone 01");
        await pipeline.PutAsync("still-there.png", "four");
        await TellAsync("ObjectRemoved:Delete", "still-there.png", "01");
        await UntilAsync("still-there.png", "4 image/png 01");
    }

    [Theory]
    [InlineData("""{"hello":"world"}""", "neither Records nor detail-type")]
    [InlineData(
        """{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"other"},"object":{"key":"k"}}}]}""",
        "bucket 'other'"
    )]
    [InlineData("no JSON", "invalid JSON")]
    [InlineData("[]", "not a JSON object")]
    public async Task Unreadable_event_is_a_dead_letter_with_its_reason(string body, string reason)
    {
        await pipeline.NotifyAsync(body, contentType: null);

        (await pipeline.DeadNotificationAsync()).ShouldContain(reason);
    }

    [Fact]
    public async Task Remembered_deletions_go_after_their_time()
    {
        await TellAsync("ObjectRemoved:Delete", "long-gone.png", "01");
        await UntilAsync("long-gone.png", "gone 01");
        await pipeline.AskAsync(
            "update pipeline.catalog_entries set gone_at = now() - interval '2 days' where key = 'long-gone.png' returning 1"
        );
        await Until.TrueAsync("it goes", async () => await pipeline.EntryAsync("long-gone.png") is null);
    }

    /// <summary>The inner task ends when it has been consumed; events are worked side by side.</summary>
    private Task<Task> TellAsync(string name, string key, string sequencer) =>
        pipeline.NotifyAsync(
            JsonSerializer.Serialize(
                new
                {
                    Records = new[]
                    {
                        new
                        {
                            eventSource = "aws:s3",
                            eventName = name,
                            s3 = new { bucket = new { name = pipeline.Bucket }, @object = new { key, sequencer } },
                        },
                    },
                }
            )
        );

    private async Task UntilAsync(string key, string entry, string? about = null) =>
        await Until.TrueAsync(
            $"'{key}' is {entry} ({about})",
            async () =>
                await pipeline.AskAsync(
                    """
                    select case when gone_at is null then concat_ws(' ', size, content_type) else 'gone' end
                        || ' ' || sequencer
                    from pipeline.catalog_entries where key = $1
                    """,
                    key
                ) == entry
        );

    private Task<string?> ChangedAsync(string key) =>
        pipeline.AskAsync("select changed_at::text from pipeline.catalog_entries where key = $1", key);
}
