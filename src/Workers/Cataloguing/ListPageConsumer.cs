using MassTransit;
using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Cataloguing;

/// <summary>Lists one page of one part: the store is asked, then entries, progress and the next page's message commit together.</summary>
/// <remarks>
/// A crash anywhere leaves the part at its last committed page, whose successor's message is redelivered. A message
/// of a page that is done finds the part further on, and changes nothing.
/// </remarks>
internal sealed partial class ListPageConsumer(
    NpgsqlDataSource source,
    IImageStore store,
    CataloguingOptions options,
    CatalogMetrics metrics,
    ILogger<ListPageConsumer> logger
) : IConsumer<ListPage>
{
    public async Task Consume(ConsumeContext<ListPage> context)
    {
        var (page, cancellation) = (context.Message, context.CancellationToken);
        var part = await RebuildParts.FindAsync(source, page.RebuildId, page.Part, page.Page, cancellation);
        if (part is null)
            return;

        try
        {
            IReadOnlyList<string> boundaries = [];
            var listed = await store.ListAfterAsync(part.After, options.PageSize, cancellation);
            // More than a page, and nobody has looked at the rest yet: worth dividing among the workers.
            if (page is { Part: 0, Page: 1 } && listed.Continuation is not null)
                boundaries = await KeySpaceSplitter.DivideAsync(
                    listed.Objects[0].Key,
                    options.PartCount,
                    async after =>
                        (await store.ListAfterAsync(after, 1, cancellation)).Objects is [var next, ..] ? next.Key : null
                );
            await CommitAsync(page, part, listed, boundaries, cancellation);
        }
        catch (StorageUnavailableException e)
        {
            await PostponeAsync(page, part.Tries, e.Message, cancellation);
        }
        catch (Exception) when (cancellation.IsCancellationRequested)
        {
            // The process stops. With this token MassTransit gives the message back; else it would be a dead letter.
            throw new OperationCanceledException(cancellation);
        }
        catch (Exception e) when (!Transience.IsOutage(e) && !Transience.IsContention(e))
        {
            // The store's settings, or an answer that nobody expects: the next try would end the same.
            await FailAsync(page.RebuildId, e.Message, cancellation);
        }
    }

    private async Task CommitAsync(
        ListPage page,
        OpenPart part,
        ObjectPage listed,
        IReadOnlyList<string> boundaries,
        CancellationToken cancellation
    )
    {
        var until = boundaries.Count > 0 ? boundaries[0] : part.Until;
        var within = listed.Objects.TakeWhile(x => until is null || KeyOrder.Compare(x.Key, until) <= 0).ToList();
        var isDone = listed.Continuation is null || within.Count < listed.Objects.Count;

        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var (id, number) = (page.RebuildId, page.Part);
        if (!await RebuildParts.LockAsync(connection, transaction, id, number, page.Page, cancellation))
            return;

        var doubtful = await CatalogPages.MarkAsync(connection, transaction, id, within, part.AskedAt, cancellation);
        await RebuildParts.AddAsync(connection, transaction, id, boundaries, options.StaleAfter, cancellation);
        await RebuildParts.AdvanceAsync(
            connection,
            transaction,
            id,
            number,
            within.Count > 0 ? within[^1].Key : part.After,
            boundaries.Count > 0 ? until : null,
            within.Count,
            isDone,
            options.StaleAfter,
            cancellation
        );
        List<WireMessage> messages =
        [
            isDone ? RebuildMessages.EndOf(id, number) : RebuildMessages.NextOf(id, number, page.Page),
            .. Enumerable.Range(1, boundaries.Count).Select(x => RebuildMessages.NextOf(id, x, pagesDone: 0)),
            .. doubtful.Select(RebuildMessages.Check), // Decided during the listing: which of the two is right?
        ];
        await Outbox.AppendAsync(connection, transaction, messages, cancellation);
        await transaction.CommitAsync(cancellation);
        metrics.Listed(within.Count);
    }

    private async Task PostponeAsync(ListPage page, int tries, string reason, CancellationToken cancellation)
    {
        var pause = options.BackoffFirst * Math.Pow(2, Math.Min(tries, 30));
        pause = pause > options.BackoffLimit ? options.BackoffLimit : pause;
        var waited = await RebuildParts.PostponeAsync(
            source,
            page.RebuildId,
            page.Part,
            page.Page,
            reason,
            pause,
            cancellation
        );
        if (waited > options.GiveUpAfter)
            await FailAsync(
                page.RebuildId,
                $"The store did not answer for {waited:hh\\:mm\\:ss}. {reason}",
                cancellation
            );
        else
            Waits(page.RebuildId, page.Part, page.Page, pause, reason);
    }

    private async Task FailAsync(Guid rebuildId, string reason, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var failed = RebuildMessages.ToWire(new ListingFailed(rebuildId, reason));
        await Outbox.AppendAsync(connection, transaction, [failed], cancellation);
        await transaction.CommitAsync(cancellation);
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
        Message = "Rebuild {RebuildId}: page {Page} of part {Part} waits {Pause} for the store: {Error}"
    )]
    private partial void Waits(Guid rebuildId, int part, int page, TimeSpan pause, string error);
}
