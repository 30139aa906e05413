using System.Text;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;

namespace Pipeline.Publisher.Cataloguing;

/// <summary>The catalogue's commands as they go to the broker; none belongs to a project.</summary>
internal static class CatalogMessages
{
    public const int KeyBytes = 1_024;

    public static WireMessage ToWire(this RecordObject command) => OfNoProject(command, command.CommandId);

    public static WireMessage ToWire(this ForgetObject command) => OfNoProject(command, command.CommandId);

    public static WireMessage ToWire(this RebuildCatalog command) => OfNoProject(command, command.CommandId);

    public static WireMessage ToWire(this CancelRebuild command) => OfNoProject(command, command.CommandId);

    /// <summary>What can be seen to be wrong with a key before it is sent; the workers' rules decide.</summary>
    public static string? Problem(string? key) =>
        string.IsNullOrEmpty(key) || Encoding.UTF8.GetByteCount(key) > KeyBytes
            ? $"must have 1 to {KeyBytes} bytes of UTF-8"
            : null;

    private static WireMessage OfNoProject<T>(T command, Guid commandId) =>
        new(WireNames.ExchangeOf<T>(), RoutingKey: "", commandId, WireJson.Write(command), Mandatory: true);
}
