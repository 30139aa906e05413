using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Persistence;
using RabbitMQ.Client;

namespace Pipeline.Workers.Messaging;

/// <summary>The broker: <c>ConnectionStrings__RabbitMq</c>, an amqp or amqps URI with credentials and virtual host.</summary>
internal sealed record MessagingOptions(Uri Broker)
{
    private const string ConnectionName = "RabbitMq";

    private const string FormSetting = "Messaging:CloudEvents";

    private const string ExchangesSetting = "Messaging:ClientExchanges";

    private const string WorkersSetting = "Messaging:WorkerLogins";

    private const string PublishersSetting = "Messaging:PublisherLogins";

    private const string ManagementSetting = "Messaging:ManagementUrl";

    private readonly string _login = new ConnectionFactory { Uri = Broker }.UserName;

    /// <summary><c>Messaging__CloudEvents</c>: <c>binary</c> or <c>structured</c>; events go out plain where it is not set.</summary>
    public EventForm EventForm { get; init; }

    /// <summary>
    /// <c>Messaging__ClientExchanges</c>: foreign services' own exchanges, each with the one public command that is
    /// accepted through it, such as <c>client-shop=save-image,client-play=define-scenes</c>. None where it is not set.
    /// </summary>
    public IReadOnlyDictionary<string, string> ClientExchanges { get; init; } =
        new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// <c>Messaging__WorkerLogins</c>: logins of other workers, where they have not all the same; this worker's own is
    /// always one.
    /// </summary>
    public IReadOnlyList<string> WorkerLogins { get; init; } = [];

    /// <summary><c>Messaging__PublisherLogins</c>: logins that replay dead letters; <c>publisher</c> where it is not set.</summary>
    public IReadOnlyList<string> PublisherLogins { get; init; } = ["publisher"];

    /// <summary><c>Messaging__ManagementUrl</c>: RabbitMQ's management API; null where it is not set.</summary>
    public Uri? ManagementUrl { get; init; }

    /// <summary>Whose login a message names.</summary>
    public SenderRole RoleOf(string? userId) =>
        string.IsNullOrEmpty(userId) ? SenderRole.Foreign
        : userId == _login || WorkerLogins.Contains(userId, StringComparer.Ordinal) ? SenderRole.Worker
        : PublisherLogins.Contains(userId, StringComparer.Ordinal) ? SenderRole.Publisher
        : SenderRole.Foreign;

    /// <exception cref="ConfigurationMissingException">The broker is not set, or not such a URI.</exception>
    /// <exception cref="InvalidOperationException">Another of the settings is none.</exception>
    public static MessagingOptions Read(IConfiguration configuration) =>
        Uri.TryCreate(configuration.GetConnectionString(ConnectionName), UriKind.Absolute, out var broker)
        && (broker.Scheme is "amqp" or "amqps")
            ? new MessagingOptions(broker)
            {
                EventForm = FormOf(configuration[FormSetting]),
                ClientExchanges = ExchangesOf(configuration[ExchangesSetting] ?? ""),
                WorkerLogins = ListOf(configuration[WorkersSetting] ?? ""),
                ManagementUrl = UrlOf(configuration[ManagementSetting]),
                PublisherLogins = ListOf(configuration[PublishersSetting] ?? "publisher"),
            }
            : throw new ConfigurationMissingException($"ConnectionStrings__{ConnectionName}");

    private static EventForm FormOf(string? text) =>
        text switch
        {
            null or "" => EventForm.Plain,
            "binary" => EventForm.Binary,
            "structured" => EventForm.Structured,
            _ => throw new InvalidOperationException("Messaging__CloudEvents must be binary, structured or not set."),
        };

    private static Uri? UrlOf(string? text) =>
        string.IsNullOrEmpty(text) ? null
        : Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? url
        : throw new InvalidOperationException(
            "Messaging__ManagementUrl must be an http or https URL, such as http://rabbitmq:15672, or not set."
        );

    private static string[] ListOf(string text) =>
        text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static Dictionary<string, string> ExchangesOf(string text)
    {
        var exchanges = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in ListOf(text))
        {
            var at = pair.IndexOf('=', StringComparison.Ordinal);
            var (exchange, name) = at < 0 ? ("", "") : (pair[..at], pair[(at + 1)..]);
            // Whatever does not begin so is the pipeline's or the broker's own.
            if (
                !exchange.StartsWith("client-", StringComparison.Ordinal)
                || !MessageCatalog.TryFind(name, out var contract)
                || !contract.IsCommand
            )
                throw new InvalidOperationException(
                    $"Messaging__ClientExchanges: '{pair}' must be client-NAME=COMMAND, such as client-shop=save-image."
                );
            exchanges[exchange] = name;
        }

        return exchanges;
    }
}
