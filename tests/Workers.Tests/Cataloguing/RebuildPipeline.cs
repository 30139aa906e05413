using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Storage;
using Shouldly;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>Rebuilds in small pages, over a store that a test can switch off.</summary>
public sealed class RebuildPipeline : CatalogPipeline
{
    public const int PageSize = 7;

    internal StoreSwitch Switch => (StoreSwitch)Store;

    internal async Task<Guid> AskAsync()
    {
        var command = new RebuildCatalog(Guid.NewGuid());
        await SendAsync(command, command.CommandId);
        await Until.TrueAsync("the request", async () => await RebuildOfAsync(command.CommandId) is not null);
        return command.CommandId;
    }

    internal async Task<Guid?> RebuildOfAsync(Guid commandId) =>
        await AskAsync("select rebuild_id from status.catalog_rebuild_requests where command_id = $1", commandId)
            is { } id
            ? Guid.Parse(id)
            : null;

    internal Task<string?> StateAsync(Guid commandId) =>
        AskAsync(
            """
            select r.state from status.catalog_rebuilds r
            join status.catalog_rebuild_requests q on q.rebuild_id = r.id where q.command_id = $1
            """,
            commandId
        );

    internal Task<string?> ReceiptAsync(Guid commandId) =>
        AskAsync("select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1", commandId);

    /// <summary>Plays the rebuild to its end.</summary>
    /// <param name="commandId">Who asked for it.</param>
    /// <param name="between">Done before each step.</param>
    internal async Task<string> RunAsync(Guid commandId, Func<Task>? between = null)
    {
        await Until.TrueAsync(
            "the rebuild's end",
            async () =>
            {
                if (between is not null)
                    await between();
                await StepAsync();
                (await FaultsAsync()).ShouldBeEmpty();
                return await ReceiptAsync(commandId) is not null;
            }
        );
        return (await ReceiptAsync(commandId))!;
    }

    /// <summary>An entry that is older than any rebuild to come.</summary>
    internal Task PlantAsync(string key) =>
        AskAsync(
            """
            insert into pipeline.catalog_entries (key, size, etag, last_modified, first_seen, changed_at)
            values ($1, 1, 'planted', now(), now(), now() - interval '1 hour') returning 1
            """,
            key
        );

    internal async Task<string[]> StoredKeysAsync()
    {
        var keys = new List<string>();
        string? continuation = null;
        do
        {
            var page = await Store.ListAsync("", continuation, default);
            keys.AddRange(page.Objects.Select(Text));
            continuation = page.Continuation;
        } while (continuation is not null);
        return [.. keys];
    }

    internal async Task<string[]> CatalogedKeysAsync()
    {
        await using var command = Database.CreateCommand(
            "select key, size, etag, content_type, last_modified from status.catalog order by key"
        );
        await using var row = await command.ExecuteReaderAsync();
        var keys = new List<string>();
        while (await row.ReadAsync())
            keys.Add(
                Text(
                    new StoredObject(
                        row.GetString(0),
                        row.GetInt64(1),
                        row.GetString(2),
                        ContentType: null,
                        row.GetFieldValue<DateTimeOffset>(4)
                    )
                )
            );
        return [.. keys];
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            .. base.Settings(),
            new("Cataloguing:PageSize", $"{PageSize}"),
            new("Cataloguing:PartCount", "4"),
            new("Cataloguing:SweepBatch", "100"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        base.AddSlice(bus, configuration);
        bus.AddSingleton<IImageStore>(provider => new StoreSwitch(
            ActivatorUtilities.CreateInstance<S3ImageStore>(provider)
        ));
    }

    private static string Text(StoredObject stored) =>
        $"{stored.Key} {stored.Size} {stored.ETag} {stored.LastModified.ToUnixTimeSeconds()}";
}
