using Pipeline.Contracts.Urls;
using Pipeline.Wire;

namespace Pipeline.Publisher.Urls;

/// <summary>The refresh command as it goes to the broker.</summary>
internal static class UrlMessages
{
    /// <summary>Under its project's routing key; all that are due belong to none.</summary>
    public static WireMessage ToWire(this RefreshUrls command) =>
        new(
            WireNames.ExchangeOf<RefreshUrls>(),
            command.ProjectId is { } project ? WireNames.RoutingKeyOf(project) : "",
            command.CommandId,
            WireJson.Write(command),
            Mandatory: true
        );
}
