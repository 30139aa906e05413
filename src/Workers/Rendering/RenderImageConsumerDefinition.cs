using MassTransit;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;

namespace Pipeline.Workers.Rendering;

/// <summary>Queue <c>render-image</c>: unordered, slow work, bounded by what the providers and the memory take.</summary>
internal sealed class RenderImageConsumerDefinition : ConsumerDefinition<RenderImageConsumer>
{
    private readonly int _concurrentRenders;

    public RenderImageConsumerDefinition(RenderingOptions options)
    {
        _concurrentRenders = options.ConcurrentRenders;
        EndpointName = WireNames.ExchangeOf<RenderImage>();
        ConcurrentMessageLimit = _concurrentRenders;
    }

    // No retries here: an attempt is claimed once, and another one is the saga's to begin.
    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<RenderImageConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => endpointConfigurator.PrefetchCount = _concurrentRenders;
}
