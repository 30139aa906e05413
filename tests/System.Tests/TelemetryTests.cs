using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Cataloguing;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A worker's metrics as a collector gets them.</summary>
public sealed class TelemetryTests : Stack
{
    private readonly ConcurrentQueue<(string Path, string Body)> _exports = new();
    private HttpStub? _collector;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", _collector!.Url.ToString()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
        ];

    public override async Task InitializeAsync()
    {
        _collector = await HttpStub.StartAsync(KeepAsync);
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _collector!.DisposeAsync();
    }

    [Fact]
    public async Task Collector_gets_the_metrics_of_a_worker_by_otlp()
    {
        var worker = StartWorker("measured");
        await using (var publisher = NewPublisher())
        {
            await publisher.PublishAsync(Commands.Storyboard(Guid.NewGuid(), 1).ToWire(), CancellationToken.None);
            // MassTransit consumes every queue that is no lane.
            var forget = new ForgetObject(Guid.NewGuid(), "nobody/put/this.png");
            await publisher.PublishAsync(
                new WireMessage("forget-object", "", forget.CommandId, WireJson.Write(forget), Mandatory: true),
                CancellationToken.None
            );
        }

        // Names are texts in the protobuf, so that they are found without its schema.
        foreach (
            var name in new[]
            {
                "pipeline.lane.commands",
                "define-scenes",
                "pipeline.lane.commit.duration",
                "pipeline.lane.held",
                "pipeline.outbox.waiting",
                "messaging.masstransit.receive",
                "pipeline-workers",
                "measured",
            }
        )
            await UntilAsync(name, () => Task.FromResult(_exports.Any(x => Has(x.Body, name))));

        _exports.ShouldAllBe(x => x.Path == "/v1/metrics");
        worker.HasExited.ShouldBeFalse();
    }

    private static bool Has(string body, string name) => body.Contains(name, StringComparison.Ordinal);

    private async Task KeepAsync(HttpContext context, int number)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        _exports.Enqueue((context.Request.Path, Encoding.Latin1.GetString(body.ToArray())));
    }
}
