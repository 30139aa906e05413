using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Messaging;

/// <summary>The broker: <c>ConnectionStrings__RabbitMq</c>, an amqp or amqps URI with credentials and virtual host.</summary>
internal sealed record MessagingOptions(Uri Broker)
{
    private const string ConnectionName = "RabbitMq";

    private const string FormSetting = "Messaging:CloudEvents";

    /// <summary><c>Messaging__CloudEvents</c>: <c>binary</c> or <c>structured</c>; events go out plain where it is not set.</summary>
    public EventForm EventForm { get; init; }

    /// <exception cref="ConfigurationMissingException">The broker is not set, or not such a URI.</exception>
    /// <exception cref="InvalidOperationException">The form of events is none of the two.</exception>
    public static MessagingOptions Read(IConfiguration configuration) =>
        Uri.TryCreate(configuration.GetConnectionString(ConnectionName), UriKind.Absolute, out var broker)
        && (broker.Scheme is "amqp" or "amqps")
            ? new MessagingOptions(broker) { EventForm = FormOf(configuration[FormSetting]) }
            : throw new ConfigurationMissingException($"ConnectionStrings__{ConnectionName}");

    private static EventForm FormOf(string? text) =>
        text switch
        {
            null or "" => EventForm.Plain,
            "binary" => EventForm.Binary,
            "structured" => EventForm.Structured,
            _ => throw new InvalidOperationException("Messaging__CloudEvents must be binary, structured or not set."),
        };
}
