using System.Diagnostics.Metrics;
using System.Text.Json;
using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// A foreign service may publish commands and listen to events, and RabbitMQ lets whoever may do both bind one to the
/// other. Such a binding outlives its maker and fills the dead letters.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class ForeignBindingTests : Stack
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(1);

    protected override Task<Uri> WorkersLoginAsync() => CreateUserAsync("workers", "management");

    [Fact]
    public async Task Binding_of_an_event_to_a_command_is_removed_and_reported_within_a_minute()
    {
        using var removed = new RemovedBindings();
        HostWorker("worker", ("Messaging__ManagementUrl", Required("Management__Url")));
        var before = await BindingsAsync();
        await using var connection = await new ConnectionFactory
        {
            Uri = await CreateUserAsync("client"),
        }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        foreach (var own in new[] { "client-first", "client-second", "client-harmless" })
            await channel.ExchangeDeclareAsync(own, ExchangeType.Fanout, durable: true);
        await channel.QueueDeclareAsync("client-listener", durable: true, exclusive: false, autoDelete: false);
        var arguments = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-odd"] = 1 };

        // What is allowed stays.
        await channel.QueueBindAsync("client-listener", "image-saved", "#");
        await channel.ExchangeBindAsync("client-harmless", "image-saved", "#");
        var allowed = await BindingsAsync();
        await channel.ExchangeBindAsync("save-image", "image-saved", "#");
        await channel.ExchangeBindAsync("save-image", "image-saved", "a key/with #, + and %2F.*", arguments);
        await channel.QueueBindAsync("import-image", "image-deleted", Guid.NewGuid().ToString());
        await channel.ExchangeBindAsync("client-first", "project-deleted", "#");
        await channel.ExchangeBindAsync("client-second", "client-first", "");
        await channel.ExchangeBindAsync("delete-image", "client-second", "");

        await UntilAsync(
            "all four that lead to commands are gone",
            async () => (await BindingsAsync()).Count(LeadsToCommand) == allowed.Count(LeadsToCommand),
            Limit
        );

        (await BindingsAsync())
            .Except(before, StringComparer.Ordinal)
            .Where(x => !x.StartsWith(" → ", StringComparison.Ordinal)) // The broker's own, of each queue.
            .Where(x => !x.Contains("_bus_", StringComparison.Ordinal)) // MassTransit's, of each process.
            .ShouldBe(
                [
                    "image-saved → client-harmless (#)",
                    "image-saved → client-listener (#)",
                    "client-first → client-second ()",
                    "project-deleted → client-first (#)",
                ],
                ignoreOrder: true
            );
        removed
            .Destinations.Order(StringComparer.Ordinal)
            .ShouldBe(["delete-image", "import-image", "save-image", "save-image"]);
    }

    private static bool LeadsToCommand(string binding) =>
        PublicCommands.Names.Any(x => binding.Contains($"→ {x} (", StringComparison.Ordinal));

    private async Task<List<string>> BindingsAsync()
    {
        using var management = new BrokerManagement();
        using var json = JsonDocument.Parse(await management.GetAsync($"/api/bindings{Broker.AbsolutePath}"));
        return
        [
            .. json
                .RootElement.EnumerateArray()
                .Select(x => $"{Text(x, "source")} → {Text(x, "destination")} ({Text(x, "routing_key")})"),
        ];
    }

    private static string Text(JsonElement binding, string property) => binding.GetProperty(property).GetString()!;

    /// <summary>Listens to the metric of the worker within this process.</summary>
    private sealed class RemovedBindings : IDisposable
    {
        private readonly List<string> _destinations = [];
        private readonly MeterListener _listener;

        public RemovedBindings()
        {
            _listener = new MeterListener
            {
                InstrumentPublished = (instrument, listener) =>
                {
                    if (instrument.Name == "pipeline.bindings.removed")
                        listener.EnableMeasurementEvents(instrument);
                },
            };
            _listener.SetMeasurementEventCallback<long>(
                (_, _, tags, _) =>
                {
                    lock (_destinations)
                        _destinations.Add((string)tags[0].Value!);
                }
            );
            _listener.Start();
        }

        public IReadOnlyList<string> Destinations
        {
            get
            {
                lock (_destinations)
                    return [.. _destinations];
            }
        }

        public void Dispose() => _listener.Dispose();
    }
}
