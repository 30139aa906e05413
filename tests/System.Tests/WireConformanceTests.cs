using System.Text.Json;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Importing;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>What the schemas say is what is really on the wire, and the exchanges are those of the AsyncAPI document.</summary>
public sealed class WireConformanceTests : Stack
{
    private const string Broken = "broken";

    // What one storyboard, one good request, one hopeless request and one import that fails make the workers say.
    private static readonly string[] Driven =
    [
        "command-failed",
        "command-rejected",
        "generate-image",
        "generation-ended",
        "image-generated",
        "image-saved",
        "image-unplaced",
        "import-image",
        "render-failed",
        "render-image",
        "render-succeeded",
        "request-generation",
        "save-image",
        "scenes-defined",
        "storyboard-completed",
        "target-settled",
    ];

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ($"Models__{Broken}__Kind", "OpenAI"),
            ($"Models__{Broken}__Endpoint", "http://127.0.0.1:1/"), // Nobody listens there.
            ($"Models__{Broken}__ApiKey", "none"),
            ("Generation__AttemptLimit", "1"),
            ("Importing__Retries", "0"),
            ("Importing__AllowPrivateNetworks", "true"),
        ];

    [Fact]
    public async Task Every_body_that_the_workers_publish_fits_its_schema()
    {
        await using var listener = await RawClient.ConnectAsync(Broker);
        var queue = await listener.ListenAsync("scenes-defined");
        foreach (var message in MessageCatalog.All)
            await listener.BindAsync(queue, message.Name);
        HostWorker("worker");
        await PublishAsync();
        await UntilAsync("the storyboard's end", () => HasAsync("command = 'generate-storyboard'", 1));
        await UntilAsync("every request's end", () => HasAsync("command = 'generate-image'", 4));

        var seen = new HashSet<string>(StringComparer.Ordinal);
        await UntilAsync(
            "every kind of message",
            async () =>
            {
                while (await listener.GetAsync(queue) is { } delivery)
                    seen.Add(Check(delivery));
                return Driven.All(seen.Contains);
            }
        );
    }

    [Fact]
    public async Task Exchanges_are_of_the_kind_that_the_document_names()
    {
        await using var client = await RawClient.ConnectAsync(Broker);
        foreach (var message in MessageCatalog.Public)
        {
            // Declared again with another type, the broker would close the channel.
            var type = message.Kind == MessageKind.Event ? ExchangeType.Topic : ExchangeType.Fanout;
            await client.DeclareAsync(message.Name, type);
        }
    }

    private async Task PublishAsync()
    {
        await using var publisher = NewPublisher();
        var board = Commands.Storyboard(Guid.NewGuid(), 3);
        var request = new GenerateImage(
            Guid.NewGuid(),
            board.ProjectId,
            Guid.NewGuid(),
            SceneId: null,
            SceneIndex: null,
            Slot: 0,
            "A red kite over the harbour",
            Broken,
            Width: 64,
            Height: 64,
            Seed: 1,
            Options: null,
            Deadline: null,
            Force: false
        );
        var pictures = new GenerateStoryboard(
            Guid.NewGuid(),
            board.ProjectId,
            SceneIds: null,
            ImagesPerScene: 1,
            "offline-painter",
            Width: 64,
            Height: 64,
            Options: null,
            Deadline: null,
            Force: false
        );
        var import = new ImportImage(
            Guid.NewGuid(),
            board.ProjectId,
            Guid.NewGuid(),
            SceneId: null,
            SceneIndex: null,
            Slot: 1,
            "http://127.0.0.1:1/kite.png",
            UploadKey: null
        );
        var unplaced = Commands.Save(board.ProjectId, scene: 9, slot: 0);
        await publisher.PublishAllAsync(
            [
                board.ToWire(),
                unplaced.ToWire(),
                WireMessage.Command(unplaced with { CommandId = Guid.NewGuid(), Width = 50_000, Height = 50_000 }),
            ],
            CancellationToken.None
        );
        await UntilReceiptsAsync(3);
        await publisher.PublishAllAsync(
            [
                WireMessage.Command(pictures, pictures.CommandId, board.ProjectId),
                WireMessage.Command(request, request.CommandId, board.ProjectId),
                WireMessage.Command(import, import.CommandId, board.ProjectId),
            ],
            CancellationToken.None
        );
    }

    private static string Check(BasicGetResult delivery)
    {
        var name = delivery.BasicProperties.Type.ShouldNotBeNull();
        name.ShouldBe(delivery.Exchange);
        delivery.BasicProperties.ContentType.ShouldBe(WireJson.ContentType);
        Guid.TryParse(delivery.BasicProperties.MessageId, out _).ShouldBeTrue(name);
        MessageCatalog.TryFind(name, out var contract).ShouldBeTrue(name);
        using var body = JsonDocument.Parse(delivery.Body);
        contract!.Check(body.RootElement).ShouldBeEmpty($"{name}: {body.RootElement}");
        // Every property on the wire is one that the schema describes, and the other way round.
        var written = body.RootElement.EnumerateObject().Select(x => x.Name).ToHashSet(StringComparer.Ordinal);
        written.SetEquals(contract.Schema()["properties"]!.AsObject().Select(x => x.Key)).ShouldBeTrue(name);
        return name;
    }

    private async Task<bool> HasAsync(string condition, long count) =>
        await ScalarAsync<long>($"select count(*) from status.receipts where {condition}") >= count;
}
