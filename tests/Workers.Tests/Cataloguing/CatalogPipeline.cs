using System.Text;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Wire;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>The catalogue's queues on the real servers, with a bucket of their own.</summary>
public class CatalogPipeline : SlicePipeline
{
    private const string EventsQueue = "object-events";

    private static readonly string[] Internal =
    [
        "begin-rebuild",
        "list-page",
        "part-listed",
        "listing-failed",
        "sweep-catalog",
        "catalog-swept",
        "record-object",
    ];

    private readonly string _bucket = $"test-{Guid.NewGuid():N}";

    private readonly ConsumedMessages _consumed = new();

    internal string Bucket => _bucket;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        Worker.Services.GetRequiredService<IBusControl>().ConnectConsumeObserver(_consumed);
    }

    /// <summary>Publishes a notification as a store would; the task ends when it has been consumed.</summary>
    internal async Task<Task> NotifyAsync(string body, string? contentType = "application/json")
    {
        var id = Guid.NewGuid();
        await SendForeignAsync(EventsQueue, body, contentType, id);
        return _consumed.DoneAsync(id);
    }

    /// <summary>Plays what the catalogue has sent to itself until now; ends when all of it is consumed.</summary>
    /// <returns>How many messages there were.</returns>
    internal async Task<int> StepAsync()
    {
        var played = await PlayOutboxAsync(Internal);
        foreach (var id in played)
            await _consumed.DoneAsync(id);
        return played.Count;
    }

    /// <summary>Why messages of the catalogue are dead letters; empty where there are none.</summary>
    internal async Task<string> FaultsAsync()
    {
        var faults = new List<string>();
        foreach (var queue in Worker.Services.GetServices<WorkQueue>())
        {
            while (await TakeFaultAsync(queue.Name) is { } fault)
                faults.Add($"{queue.Name}: {fault}");
        }

        return string.Join('\n', faults);
    }

    internal async Task<string> DeadNotificationAsync()
    {
        await Until.TrueAsync("the dead letter", async () => await DeadLettersAsync(EventsQueue) > 0);
        return await TakeFaultAsync(EventsQueue) ?? throw new InvalidOperationException("It says no reason.");
    }

    internal async Task PutAsync(string key, string content = "x", string contentType = "image/png")
    {
        await Store.DeleteAsync(key, default); // Objects never change otherwise; here they may.
        await Store.PutOnceAsync(key, Encoding.UTF8.GetBytes(content), contentType, default);
    }

    internal async Task<string> AnswerAsync<T>(T command, Guid commandId)
    {
        await SendAsync(command, commandId);
        return await WaitForAsync(
            "select concat_ws(': ', outcome, reason) from pipeline.receipts where command_id = $1",
            commandId
        );
    }

    internal ValueTask SendAsync<T>(T message) => SendAsync(message, Guid.NewGuid());

    /// <summary>The key's entry as <c>size type</c>, <c>gone</c>, or null where there is none.</summary>
    internal Task<string?> EntryAsync(string key) =>
        AskAsync(
            """
            select case when gone_at is null then concat_ws(' ', size, content_type) else 'gone' end
            from pipeline.catalog_entries where key = $1
            """,
            key
        );

    internal Task<uint> DeadLettersAsync<T>() => DeadLettersAsync(WireNames.ExchangeOf<T>());

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            new("Storage:Bucket", _bucket),
            new("Cataloguing:SweepEvery", "00:00:00.050"),
            new("Cataloguing:BackoffFirst", "00:00:00.020"),
            new("Cataloguing:BackoffLimit", "00:00:00.050"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddCataloguing(configuration);
}
