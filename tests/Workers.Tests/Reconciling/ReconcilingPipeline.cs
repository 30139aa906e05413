using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Reconciling;
using Pipeline.Workers.Reconciling;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Reconciling;

/// <summary>The queues of a reconciliation on the real servers, with a bucket of their own.</summary>
public sealed class ReconcilingPipeline : SlicePipeline
{
    private readonly string _bucket = $"test-{Guid.NewGuid():N}";

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [new("Storage:Bucket", _bucket)];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddReconciling(configuration);

    /// <summary>Sends it; the receipt may take a while.</summary>
    internal ValueTask SendAsync(DiscardObject command) => SendAsync(command, command.CommandId);
}
