using System.Net;
using System.Net.Sockets;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>A network between a client and the broker that can stop carrying the client's bytes, and can be cut.</summary>
internal sealed class StallingProxy : IAsyncDisposable
{
    private readonly Uri _broker;
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Socket> _sockets = [];
    private readonly Lock _lock = new();
    private readonly Task _accepting;
    private TaskCompletionSource _flows = Flowing();

    public StallingProxy(Uri broker)
    {
        _broker = broker;
        _listener.Start();
        var port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        Address = new UriBuilder(broker) { Host = IPAddress.Loopback.ToString(), Port = port }.Uri;
        _accepting = AcceptAsync();
    }

    public Uri Address { get; }

    /// <summary>From here on nothing that the client writes is read, so that its socket fills up.</summary>
    public void Stall() => _flows = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Resume() => _flows.TrySetResult();

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
        Resume();
        Cut();
        await _accepting;
    }

    private static TaskCompletionSource Flowing()
    {
        var flowing = new TaskCompletionSource();
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
                carrying.Add(CarryAsync(client, server, mayStall: true));
                carrying.Add(CarryAsync(server, client, mayStall: false));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The listener was stopped.
        }

        await Task.WhenAll(carrying);
    }

    private async Task CarryAsync(Socket from, Socket to, bool mayStall)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                if (mayStall)
                    await _flows.Task;
                var count = await from.ReceiveAsync(buffer);
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
