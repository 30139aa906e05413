using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>What a scripted broker does with one message.</summary>
internal enum Answer
{
    /// <summary>Queue it and confirm it.</summary>
    Take,

    /// <summary>Do not queue it and say so (basic.nack), as a full queue does.</summary>
    Refuse,

    /// <summary>Queue it and never confirm it, as a quorum queue without its majority.</summary>
    Silence,
}

/// <summary>
/// Speaks as much AMQP 0-9-1 as a publisher with confirms needs, and answers each message as a test says: a real queue
/// refuses when it is full, which no test can place between two messages.
/// </summary>
/// <param name="script">The answer to each message, counted from 1 over all connections.</param>
/// <param name="hold">Answers are held until so many messages have come in all.</param>
internal sealed class ScriptedBroker : IAsyncDisposable
{
    private const byte Method = 1;
    private const byte Header = 2;
    private const byte Body = 3;
    private const byte FrameEnd = 0xCE;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly ConcurrentQueue<string> _queue = new();
    private readonly Func<int, Answer> _script;
    private readonly int _hold;
    private readonly Task _accepting;
    private int _messages;

    public ScriptedBroker(Func<int, Answer> script, int hold = 0)
    {
        _script = script;
        _hold = hold;
        _listener.Start();
        Address = new Uri($"amqp://any:any@127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");
        _accepting = AcceptAsync();
    }

    public Uri Address { get; }

    /// <summary>Bodies of the messages that were queued, in order.</summary>
    public IReadOnlyList<string> Queue => [.. _queue];

    /// <summary>How many messages have come, queued or not.</summary>
    public int Messages => Volatile.Read(ref _messages);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _accepting;
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_end.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }

        await Task.WhenAll(connections);
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var connection = client;
        var held = new List<byte[]>();
        var confirms = 0UL;
        var (size, body) = (0UL, new MemoryStream());
        try
        {
            var stream = client.GetStream();
            await stream.ReadExactlyAsync(new byte[8], _end.Token); // "AMQP" and the version.
            await stream.WriteAsync(Frame(0, 10, 10, [0, 9, 0, 0, 0, 0, .. LongText("PLAIN"), .. LongText("en_US")]));
            while (true)
            {
                var (type, channel, payload) = await ReadAsync(stream);
                if (type == Method && Reply(channel, payload) is { } reply)
                    await stream.WriteAsync(reply, _end.Token);
                if (type == Header)
                    (size, body) = (BinaryPrimitives.ReadUInt64BigEndian(payload.AsSpan(4)), new MemoryStream());
                if (type == Body)
                    body.Write(payload);
                if (type is not (Header or Body) || (ulong)body.Length != size)
                    continue;

                if (Settle(channel, ++confirms, Encoding.UTF8.GetString(body.ToArray())) is { } answer)
                    held.Add(answer);
                if (Messages < _hold)
                    continue;
                foreach (var settled in held)
                    await stream.WriteAsync(settled, _end.Token);
                held.Clear();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The publisher has gone, or the test is over.
        }
    }

    private byte[]? Settle(ushort channel, ulong tag, string body)
    {
        var answer = _script(Interlocked.Increment(ref _messages));
        if (answer != Answer.Refuse)
            _queue.Enqueue(body);
        var arguments = new byte[9]; // The tag, and no flag set: this message alone.
        BinaryPrimitives.WriteUInt64BigEndian(arguments, tag);
        return answer switch
        {
            Answer.Take => Frame(channel, 60, 80, arguments),
            Answer.Refuse => Frame(channel, 60, 120, arguments),
            _ => null,
        };
    }

    /// <summary>What the server says to a method; null where it says nothing.</summary>
    private static byte[]? Reply(ushort channel, byte[] method) =>
        (BinaryPrimitives.ReadUInt16BigEndian(method), BinaryPrimitives.ReadUInt16BigEndian(method.AsSpan(2))) switch
        {
            (10, 11) => Frame(0, 10, 30, [0, 0, 0, 2, 0, 0, 0, 0]), // start-ok: 128 KiB a frame
            (10, 40) => Frame(0, 10, 41, [0]), // open
            (10, 50) => Frame(0, 10, 51, []), // close
            (20, 10) => Frame(channel, 20, 11, [0, 0, 0, 0]), // channel.open
            (20, 40) => Frame(channel, 20, 41, []), // channel.close
            (85, 10) => Frame(channel, 85, 11, []), // confirm.select
            _ => null,
        };

    private async Task<(byte Type, ushort Channel, byte[] Payload)> ReadAsync(NetworkStream stream)
    {
        var head = new byte[7];
        await stream.ReadExactlyAsync(head, _end.Token);
        var payload = new byte[BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(3)) + 1];
        await stream.ReadExactlyAsync(payload, _end.Token);
        return (head[0], BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(1)), payload[..^1]);
    }

    private static byte[] Frame(ushort channel, ushort classId, ushort methodId, byte[] arguments)
    {
        var frame = new byte[7 + 4 + arguments.Length + 1];
        frame[0] = Method;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), channel);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(3), (uint)(4 + arguments.Length));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(7), classId);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(9), methodId);
        arguments.CopyTo(frame.AsSpan(11));
        frame[^1] = FrameEnd;
        return frame;
    }

    private static byte[] LongText(string text) => [0, 0, 0, (byte)text.Length, .. Encoding.ASCII.GetBytes(text)];
}
