using System.Collections.Concurrent;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;
using Shouldly;

namespace Pipeline.SystemTests.Harness;

/// <summary>A pipeline with a bucket of its own, whose catalogue is rebuilt.</summary>
public abstract class CatalogStack : Stack
{
    private protected ScratchBucket Bucket { get; } = new();

    /// <summary>Everything that was sent; each ends in a receipt.</summary>
    private protected ConcurrentBag<Guid> Commands { get; } = [];

    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Storage__Bucket", Bucket.Name)];

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await Bucket.DisposeAsync();
    }

    /// <summary>Entries of objects that nobody told us are gone.</summary>
    private protected Task<long> PlantAsync(int count) =>
        ScalarAsync<long>(
            """
            with planted as (
                insert into pipeline.catalog_entries (key, size, etag, last_modified, first_seen, changed_at)
                select 'stale/' || x, 1, 'e', now(), now(), now() - interval '1 hour' from generate_series(1, $1) x
                returning 1)
            select count(*) from planted
            """,
            count
        );

    /// <summary>Has the catalogue rebuilt and returns the receipt.</summary>
    /// <param name="publisher">Sends the command.</param>
    /// <param name="during">Done once it has begun; the inner task is waited for after the end.</param>
    /// <param name="outcome">What the receipt must say.</param>
    private protected async Task<string> RebuildAsync(
        ConfirmedPublisher publisher,
        Func<Guid, Task<Task>>? during,
        string outcome = "applied"
    )
    {
        var id = Guid.NewGuid();
        Commands.Add(id);
        await SendAsync(publisher, new RebuildCatalog(id), id);
        if (during is not null)
        {
            await UntilAsync("it begins", async () => await RebuildOfAsync(id) is not null);
            var traffic = await during((await RebuildOfAsync(id))!.Value);
            await UntilEndedAsync(id);
            await traffic;
        }

        await UntilEndedAsync(id);
        var receipt = await ScalarAsync<string>(
            "select concat_ws(': ', outcome, reason) from status.receipts where command_id = $1",
            id
        );
        receipt.ShouldStartWith(outcome);
        return receipt;
    }

    private Task UntilEndedAsync(Guid id) =>
        UntilAsync(
            "the rebuild's end",
            async () => await ScalarAsync<long>("select count(*) from status.receipts where command_id = $1", id) == 1,
            TimeSpan.FromMinutes(10)
        );

    private async Task<Guid?> RebuildOfAsync(Guid commandId) =>
        (
            await RowsAsync(
                """
                select r.id from status.catalog_rebuilds r
                join status.catalog_rebuild_requests q on q.rebuild_id = r.id where q.command_id = $1
                """,
                x => (Guid?)x.GetGuid(0),
                commandId
            )
        ).FirstOrDefault();

    private protected async Task TellAsync<T>(ConfirmedPublisher publisher, Func<Guid, T> command)
    {
        var id = Guid.NewGuid();
        Commands.Add(id);
        await SendAsync(publisher, command(id), id);
    }

    private static Task SendAsync<T>(ConfirmedPublisher publisher, T command, Guid id) =>
        publisher.PublishAsync(
            new WireMessage(WireNames.ExchangeOf<T>(), RoutingKey: "", id, WireJson.Write(command), Mandatory: true),
            CancellationToken.None
        );
}
