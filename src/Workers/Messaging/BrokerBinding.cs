using Pipeline.Wire.Schemas;

namespace Pipeline.Workers.Messaging;

/// <summary>A binding as RabbitMQ's management API shows it.</summary>
/// <param name="Source">An exchange.</param>
/// <param name="Destination">An exchange or a queue.</param>
/// <param name="DestinationType"><c>exchange</c> or <c>queue</c>.</param>
/// <param name="RoutingKey">The binding key.</param>
/// <param name="PropertiesKey">Tells bindings of the same two apart: made of key and arguments.</param>
internal sealed record BrokerBinding(
    string Source,
    string Destination,
    string DestinationType,
    string RoutingKey,
    string PropertiesKey
)
{
    private const string Exchange = "exchange";

    /// <summary>
    /// Those that bring events where commands are taken, also by way of exchanges that are nobody's message. RabbitMQ
    /// cannot refuse them: whoever may publish a command and listen to an event may bind one to the other.
    /// </summary>
    /// <remarks>Commands' queues count as well: their names are those of their commands, and so are the rights.</remarks>
    public static IReadOnlyList<BrokerBinding> FromEvents(IReadOnlyList<BrokerBinding> all)
    {
        var carriers = MessageCatalog
            .All.Where(x => x.Kind == MessageKind.Event)
            .Select(x => x.Name)
            .ToHashSet(StringComparer.Ordinal);
        bool hasGrown;
        do
        {
            hasGrown = false;
            foreach (var binding in all.Where(x => carriers.Contains(x.Source) && !x.LeadsToMessage))
                hasGrown |= binding.DestinationType == Exchange && carriers.Add(binding.Destination);
        } while (hasGrown);

        return [.. all.Where(x => carriers.Contains(x.Source) && x.LeadsToMessage)];
    }

    /// <summary>The binding's path below <c>/api/bindings/VHOST</c>.</summary>
    public string Path =>
        $"e/{Uri.EscapeDataString(Source)}/{(DestinationType == Exchange ? "e" : "q")}"
        + $"/{Uri.EscapeDataString(Destination)}/{Uri.EscapeDataString(PropertiesKey)}";

    private bool LeadsToMessage => MessageCatalog.TryFind(Destination, out _);
}
