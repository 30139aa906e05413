using Pipeline.Wire;
using Pipeline.Workers.Messaging;
using RabbitMQ.Client;

namespace Pipeline.Workers.Lanes;

/// <summary>Opens a connection for each link.</summary>
internal sealed class LaneLinks(MessagingOptions messaging, LaneOptions options) : ILaneLinks
{
    // A peer that is gone without a word is noticed within two of these.
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(5);

    public async Task<ILaneLink> OpenAsync(int lane, ushort prefetch, CancellationToken cancellation)
    {
        var connection = await ConnectAsync($"pipeline-workers lane {lane:D2}", cancellation);
        try
        {
            var opening = LaneLink.OpenAsync(connection, WireNames.LaneQueue(lane), prefetch, options, cancellation);
            return await opening.WaitAsync(options.OpenLimit, cancellation);
        }
        catch
        {
            await LaneLink.EndAsync(connection, options.CloseLimit);
            throw;
        }
    }

    public async Task<bool> CanConnectAsync(CancellationToken cancellation)
    {
        try
        {
            var connection = await ConnectAsync("pipeline-workers probe", cancellation);
            await LaneLink.EndAsync(connection, options.CloseLimit);
            return true;
        }
        catch (Exception e) when (e is not OutOfMemoryException && !cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<IConnection> ConnectAsync(string name, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            Uri = messaging.Broker,
            ClientProvidedName = name,
            // A recovered channel would begin its tags anew behind our back.
            AutomaticRecoveryEnabled = false,
            TopologyRecoveryEnabled = false,
            RequestedHeartbeat = Heartbeat,
            RequestedConnectionTimeout = options.OpenLimit,
            ConsumerDispatchConcurrency = 1,
        };
        var connecting = factory.CreateConnectionAsync(cancellation);
        try
        {
            return await connecting.WaitAsync(options.OpenLimit, cancellation);
        }
        catch when (!connecting.IsCompleted)
        {
            _ = EndLateAsync(connecting);
            throw;
        }
    }

    /// <summary>Ends a connection that comes after its caller has stopped waiting.</summary>
    private async Task EndLateAsync(Task<IConnection> connecting)
    {
        try
        {
            await LaneLink.EndAsync(await connecting, options.CloseLimit);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // It failed in the end, and its caller was told so long ago.
        }
    }
}
