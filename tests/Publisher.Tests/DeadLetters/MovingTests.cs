using System.Text;
using System.Text.Json;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Publisher.Tests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.DeadLetters;

/// <summary>Dead letters that are put aside, thrown away, or carried over in a file.</summary>
public sealed class MovingTests(ScratchDesk desk) : IClassFixture<ScratchDesk>
{
    [Fact]
    public async Task Parked_message_keeps_everything_and_can_be_replayed_from_there()
    {
        var queue = await desk.QueueAsync();
        var id = (await desk.FailAsync(queue, 1)).Single();

        (await desk.RunAsync("park", id.ToString())).Status.ShouldBe(0);

        (await desk.CountAsync(WireNames.ErrorQueue(queue))).ShouldBe(0u);
        (await desk.RunAsync("list", "--queue", queue)).Objects.ShouldBeEmpty();
        var shown = (await desk.RunAsync("show", id.ToString())).Objects.Single();
        shown.GetProperty("letter").GetProperty("queue").GetString().ShouldBe(WireNames.ParkedQueue(queue));
        shown.GetProperty("stack").GetString().ShouldBe("   at Some.Where");
        (await desk.RunAsync("park", id.ToString())).Status.ShouldBe(2);

        (await desk.RunAsync("replay", "--queue", WireNames.ParkedQueue(queue))).Status.ShouldBe(0);
        (await desk.DrainAsync(queue)).Single().BasicProperties.MessageId.ShouldBe(id.ToString());
    }

    [Fact]
    public async Task Discarded_messages_are_gone_and_recorded_and_the_others_stay()
    {
        var queue = await desk.QueueAsync();
        await desk.DrainAsync("record-dead-letter-actions");
        var ids = await desk.FailAsync(queue, 3);

        (await desk.RunAsync("discard", ids[1].ToString())).Status.ShouldBe(2); // A reason is asked for.
        (await desk.RunAsync("discard", ids[1].ToString(), "--reason", "wrong")).Status.ShouldBe(0);

        (await desk.DrainAsync(WireNames.ErrorQueue(queue)))
            .Select(x => x.BasicProperties.MessageId)
            .ShouldBe([ids[0].ToString(), ids[2].ToString()]);
        var steps = (await desk.DrainAsync("record-dead-letter-actions"))
            .Select(x => JsonSerializer.Deserialize<RecordDeadLetterActions>(x.Body.Span, WireJson.Options)!)
            .SelectMany(x => x.Steps)
            .ToArray();
        steps
            .Select(x => (x.Action, x.MessageId, x.DoneAt is null))
            .ShouldBe([("discard", ids[1].ToString(), true), ("discard", ids[1].ToString(), false)]);
    }

    [Fact]
    public async Task Messages_come_back_from_a_file_as_they_were()
    {
        var queue = await desk.QueueAsync();
        var id = Guid.NewGuid();
        var properties = ScratchDesk.Dead(id, "save-image", "It broke.");
        properties.AppId = "another service";
        properties.Timestamp = new AmqpTimestamp(1_769_860_800);
        var headers = properties.Headers!;
        headers["flag"] = true;
        headers["nothing"] = null;
        headers["real"] = 2.5;
        headers["bytes"] = new byte[] { 0xff, 0x00 };
        headers["time"] = new AmqpTimestamp(5);
        headers["list"] = new List<object?> { 1, "two" };
        headers["table"] = new Dictionary<string, object?>(StringComparer.Ordinal) { ["inside"] = "text" };
        headers.Remove("x-delivery-count");
        await desk.PublishAsync(WireNames.ErrorQueue(queue), "key", properties, """{"text":"Ünïcode"}""");
        await desk.PublishBytesAsync(WireNames.ErrorQueue(queue), "key", properties, [0xff, 0xfe, 0x00]);
        using var folder = new ScratchFolder();
        var file = Path.Combine(folder.Path, "letters.jsonl");

        (await desk.RunAsync("export", "--queue", queue, "--file", file)).Status.ShouldBe(0);
        var before = await desk.DrainAsync(WireNames.ErrorQueue(queue));
        (await desk.RunAsync("import", file)).Status.ShouldBe(0);
        var after = await desk.DrainAsync(WireNames.ParkedQueue(queue));

        after.Select(Text).ShouldBe(before.Select(Text));
        after.Count.ShouldBe(2);
    }

    [Fact]
    public async Task File_with_a_line_that_is_no_message_is_refused_as_a_whole()
    {
        var queue = await desk.QueueAsync();
        await desk.FailAsync(queue, 1);
        using var folder = new ScratchFolder();
        var file = Path.Combine(folder.Path, "letters.jsonl");
        await desk.RunAsync("export", "--queue", queue, "--file", file);
        await File.AppendAllTextAsync(file, "{\"queue\":\"elsewhere\"}\n");

        var run = await desk.RunAsync("import", file);

        run.Status.ShouldBe(2);
        run.Error.ShouldContain("elsewhere");
        (await desk.CountAsync(WireNames.ParkedQueue(queue))).ShouldBe(0u);
    }

    /// <summary>Everything of a message, its types included, as a text that can be compared.</summary>
    private static string Text(BasicGetResult message) =>
        $"{message.RoutingKey} {Convert.ToHexString(message.Body.Span)} "
        + string.Join(
            ' ',
            new object?[]
            {
                message.BasicProperties.MessageId,
                message.BasicProperties.Type,
                message.BasicProperties.ContentType,
                message.BasicProperties.CorrelationId,
                message.BasicProperties.AppId,
                message.BasicProperties.Timestamp.UnixTime,
                message.BasicProperties.DeliveryMode,
            }
        )
        + Text(message.BasicProperties.Headers!);

    private static string Text(object? value) =>
        value switch
        {
            byte[] bytes => Convert.ToHexString(bytes),
            string text => text,
            IDictionary<string, object?> table => string.Join(
                ' ',
                table
                    .Where(x => x.Key is not "x-delivery-count")
                    .OrderBy(x => x.Key, StringComparer.Ordinal)
                    .Select(x => $"{x.Key}={Text(x.Value)}")
            ),
            System.Collections.IEnumerable list => string.Join(',', list.Cast<object?>().Select(Text)),
            AmqpTimestamp time => $"time {time.UnixTime}",
            null => "null",
            // A whole number's width is not kept; its value is.
            int or long => $"whole {Convert.ToInt64(value)}",
            _ => $"{value.GetType().Name} {value}",
        };
}
