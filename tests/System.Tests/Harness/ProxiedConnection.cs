using System.Net.Sockets;

namespace Pipeline.SystemTests.Harness;

/// <summary>One connection through an <see cref="AmqpFrameProxy"/>.</summary>
internal sealed class ProxiedConnection
{
    private const int ClientPreamble = 8; // "AMQP" and the version.

    private readonly Socket _client;
    private readonly Socket _broker;
    private readonly Lock _lock = new();
    private readonly List<AmqpMethod> _fromClient = [];
    private readonly List<AmqpMethod> _fromBroker = [];
    private TaskCompletionSource _flows = Flowing();
    private DateTime? _endedAt;

    public ProxiedConnection(Socket client, Socket broker)
    {
        _client = client;
        _broker = broker;
        client.NoDelay = broker.NoDelay = true;
        var fromClient = new AmqpFrameReader(ClientPreamble, x => Keep(_fromClient, x));
        var fromBroker = new AmqpFrameReader(preamble: 0, x => Keep(_fromBroker, x));
        Ended = Task.WhenAll(CarryAsync(client, broker, fromClient), CarryAsync(broker, client, fromBroker));
    }

    /// <summary>What the client calls it; null before it has said so, or when it does not.</summary>
    public string? Name =>
        FromClient.FirstOrDefault(x => x.Id == AmqpMethods.ConnectionStartOk) is { } startOk
            ? AmqpTable.ConnectionName(startOk.Arguments)
            : null;

    /// <summary>What the client has sent, without messages; also what it sent while the connection was held.</summary>
    public IReadOnlyList<AmqpMethod> FromClient => Snapshot(_fromClient);

    /// <summary>What the broker has sent, without messages.</summary>
    public IReadOnlyList<AmqpMethod> FromBroker => Snapshot(_fromBroker);

    /// <summary>When one side had closed its socket; null while both are open.</summary>
    public DateTime? EndedAt
    {
        get
        {
            lock (_lock)
                return _endedAt;
        }
    }

    /// <summary>Ends with the sockets of both sides; fails if the frames could not be read.</summary>
    public Task Ended { get; }

    /// <summary>From here on nothing gets through in either direction, and neither side learns that the other is gone.</summary>
    public void Hold() => _flows = Held();

    /// <summary>Carries on where <see cref="Hold"/> stopped.</summary>
    public void Release() => _flows.TrySetResult();

    /// <summary>Resets the sockets of both sides, as a firewall or a dying host does.</summary>
    public void Cut()
    {
        _client.Close(0);
        _broker.Close(0);
        Release();
    }

    private static TaskCompletionSource Held() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource Flowing()
    {
        var flowing = Held();
        flowing.SetResult();
        return flowing;
    }

    private async Task CarryAsync(Socket from, Socket to, AmqpFrameReader frames)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var count = await from.ReceiveAsync(buffer);
                if (count == 0)
                    break;
                frames.Read(buffer.AsSpan(0, count));
                await _flows.Task;
                for (var sent = 0; sent < count; )
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut, by this or by one of the sides.
        }
        finally
        {
            lock (_lock)
                _endedAt ??= DateTimeOffset.UtcNow.UtcDateTime;
            await _flows.Task; // The other side of a connection that is held is not told.
            from.Close();
            to.Close();
        }
    }

    private void Keep(List<AmqpMethod> methods, AmqpMethod method)
    {
        if (method.Id == AmqpMethods.BasicPublish || method.Id == AmqpMethods.BasicDeliver)
            return;
        lock (_lock)
            methods.Add(method);
    }

    private AmqpMethod[] Snapshot(List<AmqpMethod> methods)
    {
        lock (_lock)
            return [.. methods];
    }
}
