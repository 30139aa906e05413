using Microsoft.Extensions.DependencyInjection.Extensions;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace Pipeline.Workers.Telemetry;

/// <summary>
/// Sends the process's metrics to a collector by OTLP, where OpenTelemetry's own variables name one; otherwise nothing
/// is started and the instruments cost next to nothing.
/// </summary>
/// <remarks>
/// A slice's instruments stand in its own <c>…Metrics</c> class, on a meter named <c>Pipeline.Workers.SLICE</c>; the
/// table of docs/operations.md lists them all. The variables are those of the OpenTelemetry specification, "OTLP
/// Exporter Configuration"; the exporter reads them itself, endpoint, protocol, headers and time-out alike.
/// </remarks>
internal static class TelemetryRoom
{
    /// <summary>Every meter of this project.</summary>
    public const string Meters = "Pipeline.*";

    private const string ServiceName = "pipeline-workers";
    private const string MassTransitMeter = "MassTransit";

    // Either one is enough; the second is for metrics alone.
    private static readonly string[] EndpointVariables =
    [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    ];

    /// <summary>Call it before everything that measures: hosted services stop in reverse, and the last numbers go out last.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="configuration">Holds the variables; the exporter reads the rest of them from it.</param>
    /// <param name="instanceId">Tells this process from the others of the fleet, new for each start.</param>
    /// <param name="instanceName">For people: the worker's name.</param>
    public static void AddTelemetry(
        this IServiceCollection services,
        IConfiguration configuration,
        Guid instanceId,
        string instanceName
    )
    {
        if (EndpointVariables.All(x => string.IsNullOrWhiteSpace(configuration[x])))
            return;

        var resource = ResourceBuilder
            .CreateDefault()
            .AddService(ServiceName, serviceInstanceId: instanceId.ToString("D"))
            .AddAttributes([new("worker.name", instanceName)])
            .AddEnvironmentVariableDetector(); // Last, so that OTEL_SERVICE_NAME has its way.
        services.AddSingleton(_ =>
            Sdk.CreateMeterProviderBuilder()
                .ConfigureServices(own => own.Replace(ServiceDescriptor.Singleton(configuration)))
                .SetResourceBuilder(resource)
                .AddMeter(Meters, MassTransitMeter)
                .AddOtlpExporter()
                .Build()
        );
        services.AddHostedService<MetricExport>();
    }

    /// <summary>Starts the export with the host, and sends what is left when it stops.</summary>
    private sealed class MetricExport(MeterProvider provider) : IHostedService
    {
        private static readonly TimeSpan LastExportLimit = TimeSpan.FromSeconds(3);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) =>
            Task.Run(() => provider.Shutdown((int)LastExportLimit.TotalMilliseconds), CancellationToken.None);
    }
}
