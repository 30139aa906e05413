using System.Net.Mime;
using System.Text.Json;
using MassTransit;
using MassTransit.Configuration;
using MassTransit.Serialization;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Messaging;

/// <summary>The bus: where it connects, how messages look, how queues are made.</summary>
internal static class MessagingRoom
{
    // A peer that is gone without a word is noticed within two of these.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(30);

    // What is not finished by then is cancelled, and has the rest of the time to give its message and its claims back.
    private static readonly TimeSpan FinishLimit = TimeSpan.FromSeconds(20);

    /// <summary>Adds the bus with the slices' consumers.</summary>
    /// <param name="services">The host's services.</param>
    /// <param name="options">The broker.</param>
    /// <param name="bodySizeLimitBytes">Larger bodies go to the dead letters unread.</param>
    /// <param name="slices">Adds consumers and sagas.</param>
    public static void AddMessaging(
        this IServiceCollection services,
        MessagingOptions options,
        int bodySizeLimitBytes,
        Action<IBusRegistrationConfigurator> slices
    )
    {
        services.AddSingleton(options);
        services.AddSingleton(new BodyLimit(bodySizeLimitBytes));
        services.AddSingleton(_ => new ConfirmedPublisher(options.Broker, "pipeline-workers announcements"));
        services.AddSingleton<QueueDepth>();
        services.AddSingleton(
            new ErasureWait(
                "messages that are not sent yet",
                "select exists (select from pipeline.outbox where routing_key = $1::uuid::text)"
            )
        );
        services.AddSingleton<OutboxMetrics>();
        services.AddHostedService<OutboxRelay>();
        services.AddSingleton<BindingMetrics>();
        services.AddHostedService<BindingSweeper>();
        services.AddSingleton<IConsumerCounts, ConsumerCounts>();
        services.AddSingleton<ConsumerGuard>();
        services.AddHostedService(provider => provider.GetRequiredService<ConsumerGuard>());
        services.Configure<MassTransitHostOptions>(host =>
        {
            host.WaitUntilStarted = true; // A worker has started once its queues have consumers.
            host.StopTimeout = StopLimit;
            host.ConsumerStopTimeout = FinishLimit;
        });
        services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry(); // A worker tells nobody outside what it runs.
            bus.SetKebabCaseEndpointNameFormatter();
            slices(bus);
            bus.AddConfigureEndpointsCallback(
                (context, name, endpoint) =>
                {
                    context.GetRequiredService<ConsumerGuard>().Watch(name, endpoint);
                    if (context.GetServices<ForeignQueue>().FirstOrDefault(x => x.Name == name) is { } foreign)
                        endpoint.AddDeserializer(
                            new DeserializerFactory(new ForeignDeserializer(foreign.Message, bodySizeLimitBytes)),
                            isDefault: true
                        );
                    // The exchange of a command has its queue's name; events are bound by the slice that wants them.
                    endpoint.ConfigureConsumeTopology = false;
                    endpoint.PublishFaults = false;
                    if (endpoint is not IRabbitMqReceiveEndpointConfigurator queue)
                        return;
                    foreach (var (argument, value) in QueueTopology.Arguments(name))
                        queue.SetQueueArgument(argument, value);
                }
            );
            bus.UsingRabbitMq(
                (context, rabbit) =>
                {
                    rabbit.Host(options.Broker, host => host.Heartbeat(Heartbeat));
                    rabbit.MessageTopology.SetEntityNameFormatter(new WireEntityNames());
                    rabbit.SendTopology.ConfigureErrorSettings = QueueTopology.ConfigureDeadLetters;
                    rabbit.SendTopology.ConfigureDeadLetterSettings = QueueTopology.ConfigureDeadLetters;
                    foreach (var deserializer in WireDeserializer.All(bodySizeLimitBytes, options))
                        rabbit.AddDeserializer(
                            new DeserializerFactory(deserializer),
                            isDefault: deserializer.ContentType.MediaType == WireJson.ContentType
                        );
                    // As JSON Schema has it: another spelling of a property is another one, and let pass unread.
                    rabbit.ConfigureJsonSerializerOptions(json => new JsonSerializerOptions(json)
                    {
                        PropertyNameCaseInsensitive = false,
                    });
                    rabbit.ConfigureEndpoints(context);
                }
            );
        });
    }

    private sealed class WireEntityNames : IEntityNameFormatter
    {
        public string FormatEntityName<T>() => WireNames.ExchangeOf<T>();
    }

    private sealed class DeserializerFactory(IMessageDeserializer deserializer) : ISerializerFactory
    {
        public ContentType ContentType => deserializer.ContentType;

        public IMessageSerializer CreateSerializer() =>
            throw new NotSupportedException("Messages go out through the outbox and the announcer.");

        public IMessageDeserializer CreateDeserializer() => deserializer;
    }
}
