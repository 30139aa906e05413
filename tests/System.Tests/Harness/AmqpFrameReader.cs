using System.Buffers.Binary;
using System.Text;

namespace Pipeline.SystemTests.Harness;

/// <summary>A method of AMQP 0-9-1 as one side has sent it.</summary>
/// <param name="At">When the proxy read it, before it passed it on.</param>
/// <param name="Channel">0 for what is about the connection.</param>
/// <param name="Id">Class and method; see <see cref="AmqpMethods"/>.</param>
/// <param name="Arguments">As they are on the wire.</param>
internal sealed record AmqpMethod(DateTime At, ushort Channel, AmqpId Id, byte[] Arguments)
{
    /// <summary>The first argument of an acknowledgement.</summary>
    public ulong DeliveryTag => BinaryPrimitives.ReadUInt64BigEndian(Arguments);

    /// <summary>The second argument of an acknowledgement.</summary>
    public bool IsMultiple => (Arguments[sizeof(ulong)] & 1) != 0;

    /// <summary>The queue that a <c>basic.consume</c> names, behind a reserved number.</summary>
    public string Queue => AmqpTable.ShortText(Arguments.AsSpan(sizeof(ushort)), out _);
}

/// <summary>The number of a class of methods, and of one method in it.</summary>
internal sealed record AmqpId(ushort Class, ushort Method);

/// <summary>Class and method ids of AMQP 0-9-1, those that tests ask about.</summary>
internal static class AmqpMethods
{
    public static readonly AmqpId ConnectionStartOk = new(10, 11);
    public static readonly AmqpId ConnectionClose = new(10, 50);
    public static readonly AmqpId ConnectionCloseOk = new(10, 51);
    public static readonly AmqpId ChannelClose = new(20, 40);
    public static readonly AmqpId ChannelCloseOk = new(20, 41);
    public static readonly AmqpId BasicConsume = new(60, 20);
    public static readonly AmqpId BasicCancel = new(60, 30);
    public static readonly AmqpId BasicPublish = new(60, 40);
    public static readonly AmqpId BasicDeliver = new(60, 60);
    public static readonly AmqpId BasicAck = new(60, 80);
    public static readonly AmqpId BasicReject = new(60, 90);
    public static readonly AmqpId BasicNack = new(60, 120);
}

/// <summary>Finds the methods in what one side writes, however it is cut into reads.</summary>
/// <param name="preamble">Bytes before the first frame: eight from a client, none from a broker.</param>
/// <param name="seen">Takes each method, in order.</param>
internal sealed class AmqpFrameReader(int preamble, Action<AmqpMethod> seen)
{
    private const int HeaderLength = 7;
    private const byte MethodFrame = 1;
    private const byte FrameEnd = 0xCE;

    private readonly List<byte> _frame = [];
    private int _preamble = preamble;

    // Bytes of the frame at hand that are neither read nor kept: contents are not looked at.
    private long _skip;

    /// <exception cref="InvalidDataException">This is no AMQP, or this class reads it wrongly: nothing seen counts.</exception>
    public void Read(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_preamble > 0)
                bytes = bytes[Count(ref _preamble, bytes.Length)..];
            else if (_skip > 0)
                bytes = bytes[(int)Count(ref _skip, bytes.Length)..];
            else
            {
                var wanted = Math.Min(Missing(), bytes.Length);
                _frame.AddRange(bytes[..wanted]);
                bytes = bytes[wanted..];
                if (Missing() == 0)
                    Take();
            }
        }
    }

    /// <summary>Bytes to the end of the header, or, once it is known, to the end of the frame.</summary>
    private int Missing()
    {
        if (_frame.Count < HeaderLength)
            return HeaderLength - _frame.Count;
        return IsMethod ? HeaderLength + Size + 1 - _frame.Count : 0;
    }

    private bool IsMethod => _frame[0] == MethodFrame;

    private int Size => BinaryPrimitives.ReadInt32BigEndian([.. _frame.GetRange(3, sizeof(int))]);

    private void Take()
    {
        if (!IsMethod)
            _skip = Size + 1; // Content headers, bodies, heartbeats.
        else
        {
            if (_frame[^1] != FrameEnd)
                throw new InvalidDataException("A frame does not end where its header says.");
            var frame = _frame.ToArray().AsSpan();
            var payload = frame[HeaderLength..^1];
            seen(
                new AmqpMethod(
                    DateTimeOffset.UtcNow.UtcDateTime,
                    BinaryPrimitives.ReadUInt16BigEndian(frame[1..]),
                    new AmqpId(
                        BinaryPrimitives.ReadUInt16BigEndian(payload),
                        BinaryPrimitives.ReadUInt16BigEndian(payload[sizeof(ushort)..])
                    ),
                    payload[(2 * sizeof(ushort))..].ToArray()
                )
            );
        }

        _frame.Clear();
    }

    private static int Count(ref int left, int available)
    {
        var count = Math.Min(left, available);
        left -= count;
        return count;
    }

    private static long Count(ref long left, int available)
    {
        var count = Math.Min(left, available);
        left -= count;
        return count;
    }
}

/// <summary>The encoding of names and values in AMQP 0-9-1, as far as a connection's name needs it.</summary>
internal static class AmqpTable
{
    private const string NameKey = "connection_name";

    /// <summary>What the client calls its connection, from the properties in <c>connection.start-ok</c>.</summary>
    /// <returns>Null when it has no name.</returns>
    public static string? ConnectionName(ReadOnlySpan<byte> startOk)
    {
        var table = LongBytes(startOk, out _);
        while (!table.IsEmpty)
        {
            var name = ShortText(table, out var length);
            var type = (char)table[length];
            table = table[(length + 1)..];
            if (name == NameKey && type == 'S')
                return Encoding.UTF8.GetString(LongBytes(table, out _));
            table = table[ValueLength(type, table)..];
        }

        return null;
    }

    public static string ShortText(ReadOnlySpan<byte> bytes, out int length)
    {
        length = 1 + bytes[0];
        return Encoding.UTF8.GetString(bytes[1..length]);
    }

    private static ReadOnlySpan<byte> LongBytes(ReadOnlySpan<byte> bytes, out int length)
    {
        length = sizeof(int) + BinaryPrimitives.ReadInt32BigEndian(bytes);
        return bytes[sizeof(int)..length];
    }

    private static int ValueLength(char type, ReadOnlySpan<byte> value)
    {
        switch (type)
        {
            case 't' or 'b' or 'B':
                return 1;
            case 's' or 'u':
                return 2;
            case 'I' or 'i' or 'f':
                return 4;
            case 'D':
                return 5;
            case 'l' or 'L' or 'd' or 'T':
                return 8;
            case 'V':
                return 0;
            case 'S' or 'x' or 'A' or 'F':
                LongBytes(value, out var length);
                return length;
            default:
                throw new InvalidDataException($"A property of the client has the unknown type '{type}'.");
        }
    }
}
