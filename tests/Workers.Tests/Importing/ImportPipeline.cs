using MassTransit;
using Microsoft.Extensions.Configuration;
using Pipeline.Contracts.Importing;
using Pipeline.Workers.Importing;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Importing;

/// <summary>The import queue on the real servers.</summary>
public sealed class ImportPipeline : SlicePipeline
{
    internal ValueTask SendAsync(ImportImage command, int replays = 0) =>
        SendAsync(
            command,
            command.CommandId,
            replays == 0
                ? null
                : new Dictionary<string, object?>(StringComparer.Ordinal) { [DeliveryHeaders.ReplayCount] = replays }
        );

    internal Task<uint> DeadLettersAsync() => DeadLettersAsync("import-image");

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            new("Importing:AllowPrivateNetworks", "true"), // The stub is on loopback.
            new("Importing:Retries", "2"),
            new("Importing:RetryDelay", "00:00:00.050"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddImporting(configuration);
}
