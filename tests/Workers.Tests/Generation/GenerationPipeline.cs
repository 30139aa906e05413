using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Harness;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>The saga alone: nobody renders, so that a test plays the rendering worker itself.</summary>
public sealed class GenerationPipeline : SlicePipeline
{
    internal static GenerateImage NewRequest(string? prompt = null) =>
        new(
            Guid.NewGuid(),
            Guid.NewGuid(),
            Guid.NewGuid(),
            "scene-1",
            SceneIndex: null,
            Slot: 0,
            prompt ?? $"A red kite over {Guid.NewGuid()}",
            "offline-painter",
            Width: 512,
            Height: 512,
            Seed: 1,
            Options: null,
            Deadline: null,
            Force: false
        );

    private readonly ConsumedMessages _consumed = new();

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        Services.GetRequiredService<IBus>().ConnectConsumeObserver(_consumed);
    }

    internal ValueTask SendAsync<T>(T message) => SendAsync(message, Guid.NewGuid());

    /// <summary>Sends a message as the publisher replays a dead letter.</summary>
    internal ValueTask ReplayAsync<T>(T message, int replays) =>
        SendAsync(message, Guid.NewGuid(), new(StringComparer.Ordinal) { [DeliveryHeaders.ReplayCount] = replays });

    /// <summary>Sends a message and waits until its consumer is done with it, whatever that came to.</summary>
    internal async Task ConsumeAsync<T>(T message)
    {
        var id = Guid.NewGuid();
        await SendAsync(message, id);
        await _consumed.DoneAsync(id);
    }

    /// <summary>The end of a request's save, as the sweep tells it.</summary>
    internal async Task SettleAsync(TargetSettled settled)
    {
        await EndInLaneAsync(settled);
        await SendAsync(settled);
    }

    /// <summary>The receipts of a request's import and save.</summary>
    internal Task EndInLaneAsync(TargetSettled settled) =>
        AskAsync(
            """
            with import as (
                insert into pipeline.receipts
                    (command_id, scope, project_id, command, request_hash, outcome, announcements, at, follow_up_id)
                select import_command_id, project_id, project_id, 'import-image', request_hash, 'applied', '[]', now(),
                       gen_random_uuid()
                from pipeline.generation_targets where command_id = $1 on conflict do nothing
                returning follow_up_id, project_id, request_hash
            )
            insert into pipeline.receipts
                (command_id, scope, project_id, command, request_hash, outcome, reason, announcements, at)
            select follow_up_id, project_id, project_id, 'save-image', request_hash, $2, $3, '[]', now() from import
            """,
            settled.CommandId,
            settled.Outcome,
            (object?)settled.Reason ?? DBNull.Value
        );

    /// <summary>The worker of an attempt is gone, and its lease has lapsed.</summary>
    internal async Task LoseLeaseAsync(Guid generationId, int attempt)
    {
        await AskAsync(
            "insert into pipeline.generation_leases values ($1, $2, 1, $3, now())",
            generationId,
            attempt,
            Guid.NewGuid()
        );
        await SendAsync(new RenderLeaseExpired(generationId, attempt));
    }

    /// <summary>Waits until the saga is in a state, with an attempt.</summary>
    internal Task UntilAsync(Guid generationId, string state, int attempt) =>
        Until.TrueAsync(
            $"{state}, attempt {attempt}",
            async () =>
                await AskAsync(
                    "select concat(current_state, ' ', attempt) from pipeline.generation_requests where correlation_id = $1",
                    generationId
                ) == $"{state} {attempt}"
        );

    /// <summary>How many messages of a type wait in the outbox for this text, such as a generation's id.</summary>
    internal async Task<int> SentAsync<T>(object about) =>
        int.Parse(
            (
                await AskAsync(
                    "select count(*) from pipeline.outbox where exchange = $1 and convert_from(body, 'UTF8') like $2",
                    WireNames.ExchangeOf<T>(),
                    $"%{about}%"
                )
            )!
        );

    /// <summary>Relays what waits in the outbox of a type.</summary>
    /// <returns>How many there were.</returns>
    internal async Task<int> PlayAsync<T>() => (await PlayOutboxAsync([WireNames.ExchangeOf<T>()])).Count;

    /// <summary>The same, as soon as there is one for this text.</summary>
    internal async Task PlayAsync<T>(object about)
    {
        await Until.TrueAsync(WireNames.ExchangeOf<T>(), async () => await SentAsync<T>(about) > 0);
        await PlayAsync<T>();
    }

    /// <summary>How many sessions wait for a lock.</summary>
    internal async Task<int> WaitingAsync(AdvisoryLock one) =>
        int.Parse(
            (
                await AskAsync(
                    """
                    select count(*) from pg_locks where locktype = 'advisory' and not granted and objsubid = 2
                        and classid::bigint = $1 and objid::bigint = $2
                    """,
                    (long)one.Use,
                    (long)(uint)one.Key // The view shows keys without their sign.
                )
            )!
        );

    internal async Task<uint> DeadLettersAsync()
    {
        uint count = 0;
        foreach (var queue in Worker.Services.GetServices<WorkQueue>())
            count += await DeadLettersAsync(queue.Name);
        return count;
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            new("Generation:AttemptLimit", "3"),
            new("Generation:BackoffFirst", "00:00:00.010"),
            new("Generation:BackoffLimit", "00:00:00.020"),
            new("Generation:SweepEvery", "00:00:00.050"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddGeneration(configuration);
}
