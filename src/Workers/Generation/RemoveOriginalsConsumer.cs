using MassTransit;
using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Generation;

/// <summary>Deletes the originals of a generation that no image needs, and tells the saga how that ended.</summary>
/// <remarks>
/// Safe to repeat, and safe to come late: it deletes originals of the attempts up to the one that it was sent for, and
/// what is rendered afterwards is of a later attempt, under another key.
/// </remarks>
internal sealed partial class RemoveOriginalsConsumer(
    IImageStore store,
    NpgsqlDataSource source,
    ILogger<RemoveOriginalsConsumer> logger
) : IConsumer<RemoveOriginals>
{
    public async Task Consume(ConsumeContext<RemoveOriginals> context)
    {
        var (removal, cancellation) = (context.Message, context.CancellationToken);
        var reason = await TryDeleteAsync(removal, cancellation);
        if (reason is null)
            Removed(removal.GenerationId, removal.Attempt);
        else
            Failed(removal.GenerationId, removal.Attempt, reason);

        var ended = new RemovalEnded(removal.GenerationId, removal.Attempt, reason);
        var exchange = WireNames.ExchangeOf<RemovalEnded>();
        var answer = new WireMessage(exchange, "", Guid.NewGuid(), WireJson.Write(ended), Mandatory: true);
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await Outbox.AppendAsync(connection, transaction, [answer], cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <returns>Why some are left; null where none is.</returns>
    private async Task<string?> TryDeleteAsync(RemoveOriginals removal, CancellationToken cancellation)
    {
        try
        {
            return await DeleteAsync(removal, cancellation);
        }
        catch (Exception e) when (e is StorageUnavailableException or StorageMisconfiguredException)
        {
            return e.Message;
        }
    }

    private async Task<string?> DeleteAsync(RemoveOriginals removal, CancellationToken cancellation)
    {
        string? continuation = null;
        do
        {
            var prefix = ObjectKeys.PrefixOfGeneration(removal.GenerationId);
            var page = await store.ListAsync(prefix, continuation, cancellation);
            string[] keys = [.. page.Objects.Select(x => x.Key).Where(x => ObjectKeys.AttemptOf(x) <= removal.Attempt)];
            var refused = await store.DeleteManyAsync(keys, cancellation);
            await ObjectCatalog.RemoveAsync(
                source,
                [.. keys.Except(refused.Select(x => x.Key), StringComparer.Ordinal)],
                cancellation
            );
            if (refused.Count > 0)
                return refused[0].Reason;
            continuation = page.Continuation;
        } while (continuation is not null);

        return null;
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "The originals of generation {GenerationId}, up to attempt {Attempt}, are deleted"
    )]
    private partial void Removed(Guid generationId, int attempt);

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Originals of generation {GenerationId}, up to attempt {Attempt}, are left; tried again: {Reason}"
    )]
    private partial void Failed(Guid generationId, int attempt, string reason);
}

/// <summary>Queue <c>remove-originals</c>: unordered, slow work.</summary>
internal sealed class RemoveOriginalsConsumerDefinition : ConsumerDefinition<RemoveOriginalsConsumer>
{
    private const int Concurrency = 4;

    public RemoveOriginalsConsumerDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<RemoveOriginalsConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
