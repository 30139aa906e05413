using MassTransit;
using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.Deleting;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>Finds the generations of images that are being purged, and tells their sagas. Safe to repeat.</summary>
internal sealed class ReleaseGeneratedConsumer(NpgsqlDataSource source) : IConsumer<ReleaseGenerated>
{
    private const string FindSql = """
        select distinct generation_id from pipeline.generation_targets
        where project_id = $1 and ($2 is null or image_id = $2) and released_at is null
        """;

    public async Task Consume(ConsumeContext<ReleaseGenerated> context)
    {
        var (released, cancellation) = (context.Message, context.CancellationToken);
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var found = new List<Guid>();
        await using (var command = new NpgsqlCommand(FindSql, connection, transaction))
        {
            command.Parameters.AddWithValue(released.ProjectId);
            command.Parameters.AddWithValue(NpgsqlDbType.Uuid, (object?)released.ImageId ?? DBNull.Value);
            await using var row = await command.ExecuteReaderAsync(cancellation);
            while (await row.ReadAsync(cancellation))
                found.Add(row.GetGuid(0));
        }

        await Outbox.AppendAsync(connection, transaction, [.. found.Select(GenerationRemoval.Released)], cancellation);
        await transaction.CommitAsync(cancellation);
    }
}

/// <summary>Queue <c>release-generated</c>: one query a message.</summary>
internal sealed class ReleaseGeneratedConsumerDefinition : ConsumerDefinition<ReleaseGeneratedConsumer>
{
    private const int Concurrency = 4;

    public ReleaseGeneratedConsumerDefinition() => ConcurrentMessageLimit = Concurrency;

    protected override void ConfigureConsumer(
        IReceiveEndpointConfigurator endpointConfigurator,
        IConsumerConfigurator<ReleaseGeneratedConsumer> consumerConfigurator,
        IRegistrationContext context
    ) => DatabaseRetries.Configure(endpointConfigurator);
}
