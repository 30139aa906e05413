using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;
using Polly;
using Polly.Retry;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers;

/// <summary>What the command line can ask for. Expected failures are one line on stderr and an exit status, no stack.</summary>
internal static class Verbs
{
    public const int Failure = 1;

    private const int Usage = 2;

    // A worker is often started together with its servers, or in the middle of their restart.
    private const string PatienceSetting = "Worker__StartPatience";

    private static readonly TimeSpan DefaultPatience = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan PatienceLimit = TimeSpan.FromHours(1);
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(1);

    /// <param name="cancellation">Tells the worker to stop.</param>
    /// <param name="embed">Of <see cref="WorkerHost.Build"/>.</param>
    public static Task<int> RunAsync(CancellationToken cancellation, Action<HostApplicationBuilder>? embed = null) =>
        ReportAsync(async () =>
        {
            var host = WorkerHost.Build(embed);
            try
            {
                await WithPatienceAsync(
                    host.Services,
                    async token =>
                    {
                        await RequireCurrentSchemaAsync(host.Services, token);
                        await TopologyUpgrade.RequireKnownLanesAsync(host.Services, token);
                        await LanesRoom.PrepareAsync(host.Services, token);
                    },
                    cancellation
                );
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                host.Dispose();
                if (e is OperationCanceledException && cancellation.IsCancellationRequested)
                    return;
                throw;
            }

            await WorkerLifetime.RunAsync(host, cancellation);
        });

    public static Task<int> MigrateAsync(CancellationToken cancellation) =>
        ReportAsync(async () =>
        {
            using var host = WorkerHost.Build();
            await WithPatienceAsync(host.Services, token => MigrateAsync(host.Services, token), cancellation);
        });

    private static async Task MigrateAsync(IServiceProvider services, CancellationToken cancellation)
    {
        // What may be refused comes first, so that a refusal leaves everything as it was.
        await TopologyUpgrade.RequireKnownLanesAsync(services, cancellation);
        await TopologyUpgrade.CheckAsync(services, cancellation);

        await using var db = await Context(services).CreateDbContextAsync(cancellation);
        var pending = (await db.Database.GetPendingMigrationsAsync(cancellation)).ToArray();
        await PersistenceRoom.MigrateAsync(db, cancellation);
        await services.GetRequiredService<IImageStore>().EnsureBucketAsync(cancellation);
        var queues = await TopologyUpgrade.ApplyAsync(services, cancellation);
        await LanesRoom.PrepareAsync(services, cancellation);
        await Console.Out.WriteLineAsync(
            pending.Length == 0 ? "The schema is up to date." : $"Applied {string.Join(", ", pending)}."
        );
        if (queues.Count > 0)
            await Console.Out.WriteLineAsync($"Declared anew: {string.Join(", ", queues)}.");
    }

    /// <summary>Does the steps of a start again while a server is away; all of them may be done twice.</summary>
    private static async Task WithPatienceAsync(
        IServiceProvider services,
        Func<CancellationToken, Task> steps,
        CancellationToken cancellation
    )
    {
        var patience = Patience(services.GetRequiredService<IConfiguration>());
        var clock = services.GetRequiredService<TimeProvider>();
        var startedAt = clock.GetTimestamp();
        var retry = new ResiliencePipelineBuilder { TimeProvider = clock }.AddRetry(
            new RetryStrategyOptions
            {
                MaxRetryAttempts = int.MaxValue,
                Delay = AskAgainAfter,
                ShouldHandle = failed =>
                    ValueTask.FromResult(
                        failed.Outcome.Exception is { } e
                            && IsOutage(e)
                            && clock.GetElapsedTime(startedAt) + AskAgainAfter < patience
                    ),
                OnRetry = failed => new ValueTask(
                    Console.Error.WriteLineAsync($"Waiting for a server: {Line(failed.Outcome.Exception!)}")
                ),
            }
        );
        await retry.Build().ExecuteAsync(async token => await steps(token), cancellation);
    }

    private static TimeSpan Patience(IConfiguration configuration)
    {
        var patience = configuration.GetValue<TimeSpan?>("Worker:StartPatience") ?? DefaultPatience;
        return patience >= TimeSpan.Zero && patience <= PatienceLimit
            ? patience
            : throw new InvalidOperationException($"{PatienceSetting} must be 00:00:00 to 01:00:00.");
    }

    /// <summary>The server is away, and not: it is there and refuses us.</summary>
    private static bool IsOutage(Exception error) =>
        error switch
        {
            BrokerUnreachableException e => e.GetBaseException()
                is not (AuthenticationFailureException or OperationInterruptedException),
            OperationInterruptedException e => e.ShutdownReason?.Initiator != ShutdownInitiator.Peer
                || e.ShutdownReason.ReplyCode == Constants.ConnectionForced,
            StorageUnavailableException => true,
            _ => Transience.IsOutage(error),
        };

    private static string Line(Exception error) => $"{error.GetType().Name}: {error.GetBaseException().Message}";

    private static async Task RequireCurrentSchemaAsync(IServiceProvider services, CancellationToken cancellation)
    {
        await using var db = await Context(services).CreateDbContextAsync(cancellation);
        var pending = (await db.Database.GetPendingMigrationsAsync(cancellation)).ToArray();
        if (pending.Length > 0)
            throw new InvalidOperationException($"The schema lacks {string.Join(", ", pending)}: run 'migrate' first.");
    }

    private static IDbContextFactory<PipelineDbContext> Context(IServiceProvider services) =>
        services.GetRequiredService<IDbContextFactory<PipelineDbContext>>();

    private static async Task<int> ReportAsync(Func<Task> verb)
    {
        try
        {
            await verb();
            return 0;
        }
        catch (ConfigurationMissingException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return Usage;
        }
        catch (Exception e)
            when (e
                    is InvalidOperationException
                        or NpgsqlException
                        or BrokerUnreachableException
                        or OperationInterruptedException
                        or StorageUnavailableException
                        or StorageMisconfiguredException
                        or Microsoft.Extensions.Options.OptionsValidationException
            )
        {
            await Console.Error.WriteLineAsync(Line(e));
            return Failure;
        }
    }
}
