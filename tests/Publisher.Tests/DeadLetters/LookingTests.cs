using System.Net.Http.Json;
using System.Text.Json;
using Pipeline.Publisher.DeadLetters;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.DeadLetters;

/// <summary>Looking at dead letters tells what there is, and changes nothing.</summary>
public sealed class LookingTests(ScratchDesk desk) : IClassFixture<ScratchDesk>
{
    private const int Many = 3_000;

    [Fact]
    public async Task Looking_leaves_every_message_in_its_place()
    {
        var queue = await desk.QueueAsync();
        var ids = await desk.FailAsync(queue, Many);

        (await desk.RunAsync("list", "--queue", queue)).Objects[0].GetProperty("count").GetInt32().ShouldBe(Many);
        (await desk.RunAsync("show", ids[Many / 2].ToString())).Status.ShouldBe(0);
        (await desk.RunAsync("replay", "--queue", queue, "--dry-run")).Status.ShouldBe(0);
        (await desk.RunAsync("list", "--queue", queue, "--messages", "--limit", "1")).Objects.Count.ShouldBe(1);

        var after = await desk.DrainAsync(WireNames.ErrorQueue(queue));
        after.Select(x => x.BasicProperties.MessageId).ShouldBe(ids.Select(x => x.ToString()));
        (await desk.CountAsync("record-dead-letter-actions")).ShouldBe(0u);
    }

    [Fact]
    public async Task Groups_are_of_type_and_cause_without_what_differs_from_message_to_message()
    {
        var queue = await desk.QueueAsync();
        var project = Guid.NewGuid();
        await desk.FailAsync(queue, 2, reason: $"The quota of {Guid.NewGuid()} is 17 of 'gold'.");
        await desk.FailAsync(queue, 1, reason: $"The quota of {Guid.NewGuid()} is 3 of 'iron'.", project: project);
        await desk.FailAsync(queue, 1, reason: "PostgresException: 23505: duplicate key", project: project);
        await desk.FailAsync(queue, 1, type: "import-image", reason: "It is away.");

        var groups = (await desk.RunAsync("list", "--queue", queue)).Objects;

        groups
            .Select(x => $"{x.GetProperty("count")} {x.GetProperty("projects")} {x.GetProperty("key")}")
            .ShouldBe([
                "3 3 save-image: BrokenException: The quota of … is … of ….",
                "1 1 import-image: BrokenException: It is away.",
                "1 1 save-image: PostgresException: …: duplicate key",
            ]);
        var ofProject = (await desk.RunAsync("list", "--queue", queue, "--by", "project")).Objects;
        ofProject[0].GetProperty("key").GetString().ShouldBe(project.ToString());
        ofProject[0].GetProperty("count").GetInt32().ShouldBe(2);
        var byException = (await desk.RunAsync("list", "--queue", queue, "--by", "exception")).Objects;
        byException.Select(x => x.GetProperty("key").GetString()).ShouldBe(["BrokenException", "PostgresException"]);
    }

    [Fact]
    public async Task Message_is_shown_with_its_headers_body_and_stack()
    {
        var queue = await desk.QueueAsync();
        var id = (await desk.FailAsync(queue, 1)).Single();

        var shown = (await desk.RunAsync("show", id.ToString())).Objects.Single();

        shown.GetProperty("stack").GetString().ShouldBe("   at Some.Where");
        shown.GetProperty("headers").GetProperty("x-mine").GetString().ShouldBe("stays");
        shown.GetProperty("body").GetString()!.ShouldContain("\"number\": 0");
        shown.GetProperty("letter").GetProperty("reason").GetString().ShouldBe("It broke.");
        shown.GetProperty("receipt").ValueKind.ShouldBe(JsonValueKind.Null);
    }

    [Fact]
    public async Task Message_that_the_broker_moved_tells_why_and_for_which_project()
    {
        var queue = await desk.QueueAsync();
        var id = Guid.NewGuid();
        var project = Guid.NewGuid();
        var death = new Dictionary<string, object?>(StringComparer.Ordinal)
        {
            ["reason"] = "delivery_limit",
            ["exchange"] = "save-image",
            ["queue"] = queue,
            ["time"] = new AmqpTimestamp(1_769_860_800),
        };
        var properties = new BasicProperties
        {
            MessageId = id.ToString(),
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                ["x-death"] = new List<object?> { death },
            },
        };
        await desk.PublishAsync(WireNames.ErrorQueue(queue), project.ToString(), properties, "{}");

        var shown = (await desk.RunAsync("list", "--messages", "--queue", queue)).Objects.Single();

        shown.GetProperty("cause").GetString().ShouldBe("delivery_limit");
        shown.GetProperty("type").GetString().ShouldBe("save-image");
        shown.GetProperty("projectId").GetGuid().ShouldBe(project);
        shown.GetProperty("failedAt").GetDateTimeOffset().ShouldBe(DateTimeOffset.FromUnixTimeSeconds(1_769_860_800));
    }

    [Fact]
    public async Task One_person_at_a_time_is_at_a_queue()
    {
        var queue = await desk.QueueAsync();
        await desk.FailAsync(queue, 1);
        var broker = new Uri(desk.Servers.Settings["Publisher:RabbitMq"]!);
        await using (await DeskPass.OpenAsync(broker, WireNames.ErrorQueue(queue), default))
        {
            var second = await desk.RunAsync("list", "--queue", queue);
            second.Status.ShouldBe(1);
            second.Error.ShouldContain("Somebody else is at the dead letters");
        }

        (await desk.RunAsync("list", "--queue", queue)).Status.ShouldBe(0);
    }

    [Theory]
    [InlineData("""{"projectId":"\ud800","commandId":"\ud800"}""")]
    [InlineData("""{"\ud800":1}""")]
    [InlineData("""{"projectId":1,"projectId":2}""")]
    [InlineData("[1]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("")]
    public async Task Whatever_lies_there_is_listed_and_shown(string body)
    {
        var queue = await desk.QueueAsync();
        string?[] types =
        [
            "application/json",
            "application/vnd.masstransit+json",
            "application/cloudevents+json",
            null,
        ];
        foreach (var type in types)
        {
            var properties = new BasicProperties { MessageId = $"{queue} {type}" };
            if (type is not null)
                properties.ContentType = type;
            await desk.PublishAsync(WireNames.ErrorQueue(queue), "", properties, body);
        }

        foreach (var by in LetterGroups.Dimensions)
        {
            var list = await desk.RunAsync("list", "--queue", queue, "--by", by);
            list.Objects.Sum(x => x.GetProperty("count").GetInt32()).ShouldBe(types.Length, list.Error);
        }

        foreach (var type in types)
        {
            var shown = await desk.RunAsync("show", $"{queue} {type}");
            shown.Status.ShouldBe(0, shown.Error);
            shown.Objects.Single().GetProperty("letter").GetProperty("type").GetString().ShouldBeNull();
        }

        (await desk.RunAsync("replay", "--queue", queue, "--dry-run")).Status.ShouldBe(0);
    }

    [Fact]
    public async Task Secret_of_a_message_is_not_shown()
    {
        var queue = await desk.QueueAsync();
        const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        string[] bodies =
        [
            $$"""{"secret":"{{Secret}}","url":"https://example.org"}""",
            $$"""{"message":[{"secret":"{{Secret}}"}]}""",
            $$"""{"secret":"x","secret":"{{Secret}}"}""",
            $$"""{"secret":"{{Secret}}" """,
        ];
        foreach (var (body, i) in bodies.Select((x, i) => (x, i)))
        {
            var properties = ScratchDesk.Dead(Guid.NewGuid(), "subscribe-webhook", "It broke.");
            properties.MessageId = $"{queue} {i}";
            await desk.PublishAsync(WireNames.ErrorQueue(queue), "", properties, body);
            var shown = await desk.RunAsync("show", $"{queue} {i}");
            shown.Status.ShouldBe(0, shown.Error);
            shown.Objects.Single().ToString().ShouldNotContain(Secret["whsec_".Length..]);
        }

        (await desk.RunAsync("show", $"{queue} 0")).Objects.Single().ToString().ShouldContain("https://example.org");
    }

    [Fact]
    public async Task Counts_and_the_audit_are_served()
    {
        var queue = await desk.QueueAsync();
        await desk.FailAsync(queue, 2);
        var message = Guid.NewGuid().ToString();
        await desk.Servers.SqlAsync(
            """
            insert into pipeline.dead_letter_actions
                (action_id, run_id, action, queue, message_id, replays, done_by, begun_at)
            values ($1, $1, 'discard', 'q_error', $2, 0, 'jane', now())
            """,
            Guid.NewGuid(),
            message
        );
        await using var app = PublisherApp.Build(
            new PublisherSettings(desk.Servers.Configuration),
            TimeProvider.System
        );
        await app.StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };

        var counts = await client.GetFromJsonAsync<JsonElement>("/dead-letters");
        counts
            .GetProperty("queues")
            .EnumerateArray()
            .Single(x => x.GetProperty("queue").GetString() == WireNames.ErrorQueue(queue))
            .GetProperty("messages")
            .GetInt32()
            .ShouldBe(2);
        var audit = await client.GetFromJsonAsync<JsonElement>($"/dead-letters/actions?message={message}");
        audit.GetProperty("actions").EnumerateArray().Single().GetProperty("outcome").GetString().ShouldBe("begun");
    }

    [Fact]
    public async Task Selection_has_to_be_said()
    {
        var run = await desk.RunAsync("replay");

        run.Status.ShouldBe(Exit.Usage);
        run.Error.ShouldContain("--all");
    }
}
