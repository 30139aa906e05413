using System.Net;
using System.Net.Sockets;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// A network between clients and the broker that writes down what methods each connection carries. A connection can be
/// held, so that it is open and dead, or cut.
/// </summary>
internal sealed class AmqpFrameProxy : IAsyncDisposable
{
    private readonly Uri _broker;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<ProxiedConnection> _connections = [];
    private readonly Lock _lock = new();
    private readonly Task _accepting;

    public AmqpFrameProxy(Uri broker)
    {
        _broker = broker;
        _listener.Start();
        var port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        Address = new UriBuilder(broker) { Host = IPAddress.Loopback.ToString(), Port = port }.Uri;
        _accepting = AcceptAsync();
    }

    /// <summary>The broker, for a client that is to go through this.</summary>
    public Uri Address { get; }

    /// <summary>All so far, in the order of their opening, those that are closed as well.</summary>
    public IReadOnlyList<ProxiedConnection> Connections
    {
        get
        {
            lock (_lock)
                return [.. _connections];
        }
    }

    /// <exception cref="InvalidDataException">Frames could not be read: what was seen says nothing.</exception>
    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _accepting;
        foreach (var connection in Connections)
            connection.Cut();
        await Task.WhenAll(Connections.Select(x => x.Ended));
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync();
                var broker = new Socket(SocketType.Stream, ProtocolType.Tcp);
                await broker.ConnectAsync(_broker.Host, _broker.Port);
                var connection = new ProxiedConnection(client, broker);
                lock (_lock)
                    _connections.Add(connection);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was stopped.
        }
    }
}
