using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>
/// The saga, and the leases and records of the rendering workers, without the workers and the sweeps themselves: a test
/// does what they would, in the order that it wants.
/// </summary>
public sealed class RenderRacePipeline : SlicePipeline
{
    private readonly ConsumedMessages _consumed = new();

    internal RenderLeases Leases => Services.GetRequiredService<RenderLeases>();

    internal RenderLedger Ledger => Services.GetRequiredService<RenderLedger>();

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        Services.GetRequiredService<IBus>().ConnectConsumeObserver(_consumed);
    }

    /// <summary>Sends a message and waits until its consumer is done with it.</summary>
    internal async Task ConsumeAsync<T>(T message)
    {
        var id = Guid.NewGuid();
        await SendAsync(message, id);
        await _consumed.DoneAsync(id);
    }

    /// <summary>Takes what was sent about a generation out of the outbox.</summary>
    internal async Task<List<object>> TakeSentAsync(Guid generationId)
    {
        await using var take = Database.CreateCommand(
            "delete from pipeline.outbox where convert_from(body, 'UTF8') like $1 returning exchange, body"
        );
        take.Parameters.AddWithValue($"%{generationId}%");
        var sent = new List<object>();
        await using var row = await take.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            if (Read(row.GetString(0), row.GetFieldValue<byte[]>(1)) is { } message)
                sent.Add(message);
        }

        return sent;
    }

    // What these tests know; the rest is nobody's here.
    private static object? Read(string exchange, byte[] body) =>
        new[] { typeof(RenderImage), typeof(RenderSucceeded), typeof(RenderFailed) }.FirstOrDefault(x =>
            WireNames.ExchangeOf(x) == exchange
        )
            is { } type
            ? System.Text.Json.JsonSerializer.Deserialize(body, type, WireJson.Options)
            : null;

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [new("Generation:AttemptLimit", "20"), new("Generation:SweepEvery", "1.00:00:00")];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddGeneration(configuration);
        bus.AddSingleton(new RenderingOptions());
        bus.AddSingleton<RenderMetrics>();
        bus.AddSingleton<RenderLeases>();
        bus.AddSingleton<RenderLedger>();
    }
}
