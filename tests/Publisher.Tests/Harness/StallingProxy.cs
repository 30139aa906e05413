using System.Net;
using System.Net.Sockets;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>A network between a client and the broker that can stop carrying the bytes of either side, and can be cut.</summary>
internal sealed class StallingProxy : IAsyncDisposable
{
    private readonly Uri _broker;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> _sockets = [];
    private readonly Lock _lock = new();
    private readonly Task _accepting;
    private TaskCompletionSource _clientFlows = Flowing();
    private TaskCompletionSource _brokerFlows = Flowing();

    public StallingProxy(Uri broker)
    {
        _broker = broker;
        _listener.Start();
        var port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        Address = new UriBuilder(broker) { Host = IPAddress.Loopback.ToString(), Port = port }.Uri;
        _accepting = AcceptAsync();
    }

    public Uri Address { get; }

    /// <summary>From here on nothing that the client writes arrives, so that its socket fills up.</summary>
    public void Stall() => _clientFlows = Stalled();

    /// <summary>From here on nothing that the broker writes arrives: what the client has sent is carried out unheard.</summary>
    public void StallBroker() => _brokerFlows = Stalled();

    public void Resume()
    {
        _clientFlows.TrySetResult();
        _brokerFlows.TrySetResult();
    }

    /// <summary>Resets every connection, as a firewall or a dying host does.</summary>
    public void Cut()
    {
        lock (_lock)
        {
            foreach (var socket in _sockets)
                socket.Close(0);
            _sockets.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        Cut();
        Resume(); // Those who wait find their socket closed: what was stalled never arrives.
        await _accepting;
    }

    private static TaskCompletionSource Stalled() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource Flowing()
    {
        var flowing = Stalled();
        flowing.SetResult();
        return flowing;
    }

    private async Task AcceptAsync()
    {
        var carrying = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync();
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await server.ConnectAsync(_broker.Host, _broker.Port);
                lock (_lock)
                    _sockets.AddRange([client, server]);
                carrying.Add(CarryAsync(client, server, () => _clientFlows.Task));
                carrying.Add(CarryAsync(server, client, () => _brokerFlows.Task));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was stopped.
        }

        await Task.WhenAll(carrying);
    }

    private static async Task CarryAsync(Socket from, Socket to, Func<Task> flows)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(buffer);
                await flows(); // Also what was awaited before it stalled.
                if (count == 0)
                    break;
                await to.SendAsync(buffer.AsMemory(0, count));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut.
        }

        to.Close();
    }
}
