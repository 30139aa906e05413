using Pipeline.Workers.Auditing;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Erasing;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Images;
using Pipeline.Workers.Importing;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Reconciling;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Saving;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Storyboards;
using Pipeline.Workers.Telemetry;
using Pipeline.Workers.Uploads;
using Pipeline.Workers.Urls;
using Pipeline.Workers.Webhooks;

namespace Pipeline.Workers;

/// <summary>The whole object graph of a worker process: the rooms, then the slices.</summary>
internal static class WorkerHost
{
    /// <summary>How long the services may take to stop.</summary>
    public static readonly TimeSpan ShutdownLimit = TimeSpan.FromSeconds(60);

    /// <param name="embed">
    /// Settings and logging of a host in another program, such as a test; null for a process of its own. It comes
    /// before anything reads a setting.
    /// </param>
    public static IHost Build(Action<HostApplicationBuilder>? embed = null)
    {
        // Settings are read once. Watching their files would walk the whole working folder at each start.
        var unwatched = new ConfigurationManager { ["hostBuilder:reloadConfigOnChange"] = "false" };
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { Configuration = unwatched });
        var configuration = builder.Configuration;
        AddConsole(builder.Logging);
        embed?.Invoke(builder);
        var worker = new WorkerIdentity(Guid.NewGuid(), configuration["Worker:Name"] ?? Environment.MachineName);
        var lanes = LanesRoom.ReadOptions(configuration);
        // Statements are not news; what fails is thrown, and logged by whoever catches it.
        builder.Logging.AddFilter("Npgsql", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.EntityFrameworkCore.Database.Command", LogLevel.None);
        builder.Services.Configure<HostOptions>(host =>
        {
            // Lanes drain first, then renders are given back; the host must not cut either short.
            host.ShutdownTimeout = ShutdownLimit;
            // Lanes do not wait until the bus has opened its twenty queues. They still stop one after the other.
            host.ServicesStartConcurrently = true;
        });
        builder.Services.AddSingleton<IHostLifetime, WorkerLifetime>();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(worker);
        builder.Services.AddTelemetry(configuration, worker.Id, worker.Name);
        builder.Services.AddPersistence(configuration, worker);
        builder.Services.AddStorage(configuration);
        builder.Services.AddCdn(configuration);
        builder.Services.AddMessaging(
            MessagingOptions.Read(configuration),
            lanes.BodySizeLimitBytes,
            bus =>
            {
                bus.AddCommands(configuration);
                bus.AddImporting(configuration);
                bus.AddGeneration(configuration);
                bus.AddRendering(configuration);
                bus.AddDeleting(configuration);
                bus.AddUrls(configuration);
                bus.AddReconciling(configuration);
                bus.AddCataloguing(configuration);
                bus.AddWebhooks(configuration);
                bus.AddAuditing(configuration);
            }
        );

        builder.Services.AddRetention(configuration);
        builder.Services.AddStoryboards();
        builder.Services.AddSaving();
        builder.Services.AddUploads(configuration);
        builder.Services.AddDeletingLane();
        builder.Services.AddErasing(configuration);

        // Last, so that it stops first: lanes are handed over while the bus and the database are still there.
        builder.Services.AddLanes(lanes);
        return builder.Build();
    }

    private static void AddConsole(ILoggingBuilder logging) =>
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
        });
}
