using System.Text;
using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// A lane writes its dead letters itself; MassTransit writes those of every other queue. People and the publisher
/// read both alike.
/// </summary>
public sealed class LaneDeadLetterTests : Stack
{
    // These differ from message to message, or say which queue it was.
    private static readonly string[] OfTheOccasion =
    [
        "MT-Fault-InputAddress",
        "MT-Fault-Message",
        "MT-Fault-Timestamp",
        "MT-Fault-StackTrace",
        WireNames.ExchangeHeader,
    ];

    [Theory]
    [InlineData("{ \"commandId\": ")]
    [InlineData("")]
    [InlineData("{ \"commandId\": 7 }")]
    public async Task A_lanes_dead_letter_has_the_headers_that_MassTransit_gives_to_others(string body)
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var key = Guid.NewGuid().ToString();
        var headers = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-own"] = "kept", ["x-number"] = 7L };
        foreach (var command in new[] { "save-image", "import-image" })
            await client.PublishAsync(command, key, body, Guid.NewGuid().ToString(), command, headers: headers);

        var lanes = Enumerable.Range(0, 8).Select(WireNames.LaneQueue).Select(WireNames.ErrorQueue);
        var ours = await DeadLetterAsync(client, [.. lanes]);
        var theirs = await DeadLetterAsync(client, [WireNames.ErrorQueue("import-image")]);

        HeadersOf(ours).ShouldBe(HeadersOf(theirs), ignoreOrder: true);
        PropertiesOf(ours).ShouldBe(PropertiesOf(theirs));
        Header(ours, "MT-Fault-Message")[..12].ShouldBe(Header(theirs, "MT-Fault-Message")[..12]); // Their rules differ.
        ours.RoutingKey.ShouldBe(key);
        Header(ours, WireNames.ExchangeHeader).ShouldBe("save-image");
        Header(ours, "MT-Fault-InputAddress").ShouldStartWith("rabbitmq://127.0.0.1");
        DateTimeOffset.TryParse(Header(ours, "MT-Fault-Timestamp"), out _).ShouldBeTrue();
        Encoding.UTF8.GetString(ours.Body.Span).ShouldBe(body);
    }

    /// <summary>The broker refuses to take a message back under another's user, and closes the channel for it.</summary>
    [Fact]
    public async Task Message_with_a_time_limit_and_a_user_becomes_a_dead_letter_that_stays_whatever_its_queue()
    {
        HostWorker("worker");
        var login = await CreateUserAsync("client");
        await using var connection = await new ConnectionFactory { Uri = login }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        foreach (var name in PublicCommands.Names)
        {
            var properties = new BasicProperties
            {
                MessageId = Guid.NewGuid().ToString(),
                Type = name,
                ContentType = WireJson.ContentType,
                Expiration = "600000",
                UserId = Uri.UnescapeDataString(login.UserInfo.Split(':')[0]),
            };
            await channel.BasicPublishAsync(name, $"{Guid.NewGuid()}", mandatory: true, properties, "{"u8.ToArray());
        }

        var count = PublicCommands.Names.Count;
        await UntilAsync("all are dead letters", async () => await this.DeadLetterCountAsync() == count);
        await using var client = await RawClient.ConnectAsync(Broker);
        var letters = new List<BasicGetResult>();
        foreach (var queue in (await NamesAsync("queues")).Where(x => x.EndsWith("_error", StringComparison.Ordinal)))
        {
            while (await client.GetAsync(queue) is { } letter)
                letters.Add(letter);
        }

        letters.Count.ShouldBe(count);
        letters.ShouldAllBe(x => !x.BasicProperties.IsExpirationPresent() && !x.BasicProperties.IsUserIdPresent());
        letters.ShouldAllBe(x => !x.BasicProperties.Headers!.ContainsKey("x-death"));
    }

    private async Task<BasicGetResult> DeadLetterAsync(RawClient client, string[] queues)
    {
        BasicGetResult? found = null;
        await UntilAsync(
            $"a dead letter in {queues[0]}",
            async () =>
            {
                foreach (var queue in queues)
                    found ??= await client.GetAsync(queue);
                return found is not null;
            }
        );
        return found!;
    }

    private static IEnumerable<string> HeadersOf(BasicGetResult letter) =>
        letter.BasicProperties.Headers!.Select(x =>
            OfTheOccasion.Contains(x.Key)
                ? x.Key
                : $"{x.Key} = {x.Value?.GetType().Name} {(x.Value is byte[] text ? Encoding.UTF8.GetString(text) : x.Value)}"
        );

    private static string PropertiesOf(BasicGetResult letter)
    {
        var properties = letter.BasicProperties;
        return $"{properties.ContentType} {properties.DeliveryMode} {properties.MessageId is not null} "
            + $"{properties.IsExpirationPresent()} {properties.CorrelationId} {properties.ReplyTo}";
    }

    private static string Header(BasicGetResult letter, string name) =>
        Encoding.UTF8.GetString((byte[])letter.BasicProperties.Headers![name]!);
}
