using System.Text;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>Events as CloudEvents, where that is configured: from the lanes, and from the outbox.</summary>
public abstract class CloudEventsSent(string form) : Stack
{
    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Messaging__CloudEvents", form)];

    [Fact]
    public async Task Events_are_CloudEvents_and_commands_stay_as_they_are()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var project = Guid.NewGuid();
        var defined = await client.ListenAsync("scenes-defined", project.ToString());
        var rejected = await client.ListenAsync("command-rejected");
        var internals = await client.ListenAsync("request-generation");
        var board = Commands.Storyboard(project, 1);
        await using var publisher = NewPublisher();
        await publisher.PublishAsync(board.ToWire(), CancellationToken.None);
        // This one's event comes through the outbox; a good one's request goes on to the saga.
        MessageCatalog.TryFind("retry-deletion", out var retry).ShouldBeTrue();
        await new ForeignMessage(retry!).SendAsync(client, ForeignForm.PlainJson);
        MessageCatalog.TryFind("generate-image", out var generate).ShouldBeTrue();
        var request = new ForeignMessage(generate!);
        request.Body["deadline"] = null;
        await request.SendAsync(client, ForeignForm.PlainJson);

        var fromLane = await NextAsync(client, defined);
        var attributes = Attributes(fromLane);
        attributes["specversion"].ShouldBe("1.0");
        attributes["type"].ShouldBe("scenes-defined");
        attributes["source"].ShouldBe(CloudEvents.Source);
        attributes["subject"].ShouldBe(project.ToString());
        attributes["id"].ShouldBe(fromLane.BasicProperties.MessageId);
        var data = Body(fromLane);
        attributes["time"].ShouldBe(data.GetProperty("at").GetString());
        data.GetProperty("commandId").GetGuid().ShouldBe(board.CommandId);
        MessageCatalog.TryFind("scenes-defined", out var contract).ShouldBeTrue();
        contract!.Check(data).ShouldBeEmpty();

        Attributes(await NextAsync(client, rejected))["type"].ShouldBe("command-rejected");
        var command = await NextAsync(client, internals);
        command.BasicProperties.ContentType.ShouldBe(WireJson.ContentType);
        command.BasicProperties.IsHeadersPresent().ShouldBeFalse();
    }

    protected abstract Dictionary<string, string?> Attributes(BasicGetResult delivery);

    protected abstract JsonElement Body(BasicGetResult delivery);

    private async Task<BasicGetResult> NextAsync(RawClient client, string queue)
    {
        BasicGetResult? next = null;
        await UntilAsync($"a message in {queue}", async () => (next = await client.GetAsync(queue)) is not null);
        return next!;
    }
}

public sealed class CloudEventsSentInBinaryModeTests() : CloudEventsSent("binary")
{
    protected override Dictionary<string, string?> Attributes(BasicGetResult delivery)
    {
        delivery.BasicProperties.ContentType.ShouldBe(WireJson.ContentType);
        return delivery
            .BasicProperties.Headers.ShouldNotBeNull()
            .ToDictionary(
                x => x.Key["cloudEvents_".Length..],
                x => (string?)Encoding.UTF8.GetString((byte[])x.Value!),
                StringComparer.Ordinal
            );
    }

    protected override JsonElement Body(BasicGetResult delivery) =>
        JsonSerializer.Deserialize<JsonElement>(delivery.Body.Span);
}

public sealed class CloudEventsSentInStructuredModeTests() : CloudEventsSent("structured")
{
    protected override Dictionary<string, string?> Attributes(BasicGetResult delivery)
    {
        delivery.BasicProperties.ContentType.ShouldBe("application/cloudevents+json; charset=UTF-8");
        var json = JsonSerializer.Deserialize<JsonElement>(delivery.Body.Span);
        json.GetProperty("datacontenttype").GetString().ShouldBe(WireJson.ContentType);
        return json.EnumerateObject()
            .Where(x => x.Name != "data")
            .ToDictionary(x => x.Name, x => x.Value.GetString(), StringComparer.Ordinal);
    }

    protected override JsonElement Body(BasicGetResult delivery) =>
        JsonSerializer.Deserialize<JsonElement>(delivery.Body.Span).GetProperty("data");
}
