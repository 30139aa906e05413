using MassTransit;
using Pipeline.Contracts.Importing;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>Queue <c>import-image</c>: unordered, slow work, bounded by the memory that the files take.</summary>
internal sealed class ImportImageConsumerDefinition : ConsumerDefinition<ImportImageConsumer>
{
    private readonly ImportingOptions _options;
    private readonly ImportFailureFilter _failures;

    public ImportImageConsumerDefinition(ImportingOptions options, ImportFailureFilter failures)
    {
        _options = options;
        _failures = failures;
        EndpointName = ImportRequest.CommandName;
        ConcurrentMessageLimit = options.ConcurrentImports;
    }

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ImportImageConsumer> consumerConfigurator,
        IRegistrationContext context
    )
    {
        endpointConfigurator.PrefetchCount = _options.ConcurrentImports;
        consumerConfigurator.Message<ImportImage>(message => message.UseFilter(_failures)); // Outside the retries.
        consumerConfigurator.UseMessageRetry(retry =>
        {
            retry.Handle<SourceUnavailableException>();
            retry.Handle<StorageUnavailableException>();
            retry.Handle<Exception>(e => Transience.IsOutage(e) || Transience.IsContention(e));
            retry.Incremental(_options.Retries, _options.RetryDelay, _options.RetryDelay);
        });
    }
}
