using MassTransit;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Models;

namespace Pipeline.Workers.Rendering;

/// <summary>All that the host needs to know of this folder.</summary>
internal static class RenderingSlice
{
    /// <summary>Adds the queue <c>render-image</c>. Needs the rooms Storage, Persistence and Messaging.</summary>
    /// <remarks>
    /// Its messages <c>render-succeeded</c>, <c>render-failed</c> and <c>render-postponed</c> must have a queue: who
    /// wants them binds it, and until then they wait in the outbox.
    /// </remarks>
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddRendering(this IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        var options =
            configuration.GetSection(RenderingOptions.Section).Get<RenderingOptions>() ?? new RenderingOptions();
        options.Validate();
        bus.AddSingleton(options);
        bus.AddModels(configuration);

        bus.TryAddSingleton(TimeProvider.System);
        bus.AddSingleton<RenderMetrics>();
        bus.AddSingleton<ProviderGates>();
        bus.AddSingleton<Providers>();
        bus.AddSingleton<RenderLeases>();
        bus.AddSingleton<RenderLedger>();
        bus.AddSingleton<Originals>();
        bus.AddSingleton<OutagePatience>();
        bus.AddSingleton(new WorkQueue(WireNames.ExchangeOf<RenderImage>()));
        bus.AddConsumer<RenderImageConsumer, RenderImageConsumerDefinition>();
    }
}
