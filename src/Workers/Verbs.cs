using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Storage;
using RabbitMQ.Client.Exceptions;

namespace Pipeline.Workers;

/// <summary>What the command line can ask for. Expected failures are one line on stderr and an exit status, no stack.</summary>
internal static class Verbs
{
    private const int Failure = 1;
    private const int Usage = 2;

    public static Task<int> RunAsync(CancellationToken cancellation) =>
        ReportAsync(async () =>
        {
            using var host = WorkerHost.Build();
            await RequireCurrentSchemaAsync(host.Services, cancellation);
            await LanesRoom.PrepareAsync(host.Services, cancellation);
            await host.RunAsync(cancellation);
        });

    public static Task<int> MigrateAsync(CancellationToken cancellation) =>
        ReportAsync(async () =>
        {
            using var host = WorkerHost.Build();
            await using var db = await Context(host.Services).CreateDbContextAsync(cancellation);
            var pending = (await db.Database.GetPendingMigrationsAsync(cancellation)).ToArray();
            await PersistenceRoom.MigrateAsync(db, cancellation);
            await host.Services.GetRequiredService<IImageStore>().EnsureBucketAsync(cancellation);
            await LanesRoom.PrepareAsync(host.Services, cancellation);
            await Console.Out.WriteLineAsync(
                pending.Length == 0 ? "The schema is up to date." : $"Applied {string.Join(", ", pending)}."
            );
        });

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
            await Console.Error.WriteLineAsync($"{e.GetType().Name}: {e.GetBaseException().Message}");
            return Failure;
        }
    }
}
