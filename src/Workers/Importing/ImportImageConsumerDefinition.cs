using MassTransit;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>Queue <c>import-image</c>: unordered, slow work, bounded by the memory that the files take.</summary>
internal sealed class ImportImageConsumerDefinition : ConsumerDefinition<ImportImageConsumer>
{
    private readonly ImportingOptions _options;

    public ImportImageConsumerDefinition(ImportingOptions options)
    {
        _options = options;
        EndpointName = WireNames.ExchangeOf<ImportImage>();
        ConcurrentMessageLimit = options.ConcurrentImports;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ImportImageConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = _options.ConcurrentImports;
        DatabaseRetries.Configure(endpointConfigurator);
        consumerConfigurator.UseMessageRetry(retry =>
        {
            retry.Handle<SourceUnavailableException>();
            retry.Handle<StorageUnavailableException>();
            retry.Incremental(_options.Retries, _options.RetryDelay, _options.RetryDelay);
        });
    }
}
