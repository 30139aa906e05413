using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Urls;

/// <summary>One delivery of a <see cref="RefreshUrls"/>.</summary>
/// <param name="Command">The command.</param>
/// <param name="Delivery">The same as its receipt names it.</param>
internal sealed record RefreshRequest(RefreshUrls Command, CommandRequest Delivery)
{
    public UrlDemand Demand => new(Command.CommandId, Command.Force);
}
