using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Messaging;

/// <summary>The broker: <c>ConnectionStrings__RabbitMq</c>, an amqp or amqps URI with credentials and virtual host.</summary>
internal sealed record MessagingOptions(Uri Broker)
{
    private const string ConnectionName = "RabbitMq";

    /// <exception cref="ConfigurationMissingException">It is not set, or not such a URI.</exception>
    public static MessagingOptions Read(IConfiguration configuration) =>
        Uri.TryCreate(configuration.GetConnectionString(ConnectionName), UriKind.Absolute, out var broker)
        && (broker.Scheme is "amqp" or "amqps")
            ? new MessagingOptions(broker)
            : throw new ConfigurationMissingException($"ConnectionStrings__{ConnectionName}");
}
