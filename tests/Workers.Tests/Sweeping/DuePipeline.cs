using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Sweeping;

/// <summary>The capabilities whose sweeps send messages, without their sweeps: a test sends what they would.</summary>
public sealed class DuePipeline : SlicePipeline
{
    // What a message may have changed: the row itself, what belongs to it, and what was sent because of it.
    private const string StateSql = """
        select concat_ws(' | ',
            (select concat(current_state, ' ', attempt) from pipeline.generation_requests where correlation_id = $1),
            (select outcome from pipeline.generation_targets where generation_id = $1),
            (select concat(current_state, ' ', attempt) from pipeline.deletions where correlation_id = $1),
            (select current_state from pipeline.catalog_rebuilds where correlation_id = $1),
            (select string_agg(concat(number, ':', pages), ',' order by number)
                from pipeline.catalog_rebuild_parts where rebuild_id = $1),
            (select count(*) from pipeline.outbox where convert_from(body, 'UTF8') like '%' || $1 || '%'))
        """;

    private readonly ConsumedMessages _consumed = new();

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        Services.GetRequiredService<IBus>().ConnectConsumeObserver(_consumed);
    }

    /// <summary>Sends a message as a worker does, and waits until its consumer is done with it.</summary>
    internal async Task ConsumeAsync<T>(T message)
    {
        var id = Guid.NewGuid();
        await SendAsync(message, id);
        await _consumed.DoneAsync(id);
    }

    internal async Task<string> StateAsync(Guid id) => (await AskAsync(StateSql, id))!;

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        new[] { "Generation", "Deleting", "Cataloguing" }.Select(x =>
            KeyValuePair.Create($"{x}:SweepEvery", (string?)"1.00:00:00")
        );

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddCdn(configuration);
        bus.AddGeneration(configuration);
        bus.AddDeleting(configuration);
        bus.AddCataloguing(configuration);
    }
}
