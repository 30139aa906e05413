using System.Text.Encodings.Web;
using Pipeline.Publisher.Cataloguing;
using Pipeline.Publisher.DeadLetters;
using Pipeline.Publisher.Deleting;
using Pipeline.Publisher.Describing;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Reconciling;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Uploading;
using Pipeline.Publisher.Urls;

namespace Pipeline.Publisher.Serving;

/// <summary>The web application, its whole object graph in one place.</summary>
internal static class PublisherApp
{
    // What is being answered may end; a request body over a slow line may not hold up a restart.
    private static readonly TimeSpan ShutdownLimit = TimeSpan.FromSeconds(15);

    /// <exception cref="SettingsException">One of broker, database, object store and address is absent or wrong.</exception>
    public static WebApplication Build(PublisherSettings settings, TimeProvider clock)
    {
        var broker = settings.Broker;
        var storage = settings.Storage;
        var database = settings.StatusDatabase;
        var url = settings.ListenUrl;
        var uploads = settings.Uploads;

        var builder = WebApplication.CreateSlimBuilder(
            new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory }
        );
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.UseUrls(url.GetLeftPart(UriPartial.Authority));
        builder.WebHost.ConfigureKestrel(x =>
        {
            x.AddServerHeader = false;
            x.Limits.MaxRequestBodySize = CommandEndpoints.ScenesByteLimit;
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        // Failures get one line from Problems; the framework would add a stack to the expected ones.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Error);
        // A taken address ends the program with a line of its own.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);

        builder.Services.Configure<HostOptions>(x => x.ShutdownTimeout = ShutdownLimit);
        // JSON is never pasted into HTML here, and people read it.
        builder.Services.ConfigureHttpJsonOptions(x =>
            x.SerializerOptions.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping
        );
        builder.Services.AddSingleton(clock);
        builder.Services.AddSingleton(_ => new StatusDatabase(database));
        builder.Services.AddSingleton<ProjectReads>();
        builder.Services.AddSingleton<ReceiptReads>();
        builder.Services.AddSingleton<LaneReads>();
        builder.Services.AddSingleton<GenerationReads>();
        builder.Services.AddSingleton<DeletionReads>();
        builder.Services.AddSingleton<ErasureReads>();
        builder.Services.AddSingleton<UrlReads>();
        builder.Services.AddSingleton<UrlRequests>();
        builder.Services.AddSingleton<UrlDesk>();
        builder.Services.AddSingleton(_ => new S3Store(storage, clock));
        builder.Services.AddSingleton<ReconciliationReads>();
        builder.Services.AddSingleton<CatalogReads>();
        builder.Services.AddSingleton(_ => new CommandSender(broker, "publisher serve", clock));
        builder.Services.AddSingleton(_ => new BrokerProbe(broker));
        builder.Services.AddSingleton<DeadLetterReads>();
        builder.Services.AddSingleton(x => new LetterCounts(broker, x.GetRequiredService<StatusDatabase>()));
        builder.Services.AddSingleton(uploads);
        builder.Services.AddSingleton<UploadDesk>();
        builder.Services.AddSingleton<DirectUploads>();

        var app = builder.Build();
        app.UseStatusCodePages(x => Problems.OfStatus(x.HttpContext.Response.StatusCode).ExecuteAsync(x.HttpContext));
        app.Use(Problems.CatchAsync);
        app.MapPages(storage.PublicUrl ?? storage.ServiceUrl);
        app.MapProjects();
        app.MapReceipts();
        app.MapImages();
        app.MapUrls();
        app.MapCommands();
        app.MapUploads(uploads);
        app.MapDirectUploads();
        app.MapReplacements();
        app.MapDeletions();
        app.MapErasures();
        app.MapReconciliations();
        app.MapGenerationCommands();
        app.MapGenerations();
        app.MapCatalog();
        app.MapDeadLetters();
        app.MapDescriptions();
        app.MapHealth();
        return app;
    }
}
