using MassTransit;
using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Sweeps one stretch of the catalogue; what is removed, how far it came and the next message commit together.</summary>
internal sealed class SweepCatalogConsumer(NpgsqlDataSource source, CataloguingOptions options)
    : IConsumer<SweepCatalog>
{
    public async Task Consume(ConsumeContext<SweepCatalog> context)
    {
        var (id, batch, cancellation) = (context.Message.RebuildId, context.Message.Batch, context.CancellationToken);
        const int Part = RebuildMessages.SweepPart;
        if (await RebuildParts.FindAsync(source, id, Part, batch, cancellation) is not { } part)
            return;

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (!await RebuildParts.LockAsync(connection, transaction, id, Part, batch, cancellation))
            return;

        var (last, count, removed, shown) = await CatalogPages.SweepAsync(
            connection,
            transaction,
            id,
            part.After,
            options.SweepBatch,
            part.StartedAt,
            cancellation
        );
        var isDone = count < options.SweepBatch;
        await RebuildParts.AdvanceAsync(
            connection,
            transaction,
            id,
            Part,
            last ?? part.After,
            until: null,
            removed,
            isDone,
            options.StaleAfter,
            cancellation
        );
        var next = isDone ? RebuildMessages.EndOf(id, Part) : RebuildMessages.NextOf(id, Part, batch);
        var checks = shown.Select(RebuildMessages.Check);
        await Outbox.AppendAsync(connection, transaction, [next, .. checks], cancellation);
        await transaction.CommitAsync(cancellation);
    }
}
