using System.Buffers.Binary;

namespace Pipeline.Workers.Persistence.Sagas;

/// <summary>The advisory lock that makes the messages of one saga wait for each other.</summary>
internal static class SagaLock
{
    /// <summary>Half of the id's bits: two sagas that share them wait for each other now and then, and nothing else.</summary>
    public static long Of(Guid correlationId)
    {
        Span<byte> bytes = stackalloc byte[16];
        correlationId.TryWriteBytes(bytes);
        return BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
    }
}
