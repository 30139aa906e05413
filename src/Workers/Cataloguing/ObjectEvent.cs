using System.Buffers.Binary;
using System.Globalization;

namespace Pipeline.Workers.Cataloguing;

/// <summary>What a store's notification says of one object.</summary>
/// <param name="Key">As it is in the store, decoded.</param>
/// <param name="IsDeletion">For counting; the store is asked in either case.</param>
/// <param name="Sequencer">Comparable with that of another event of the same key; null where the store gives none.</param>
internal sealed record ObjectEvent(string Key, bool IsDeletion, string? Sequencer);

/// <summary>Order among the events of one key.</summary>
internal static class Sequencer
{
    private const int LengthLimit = 100;

    /// <summary>
    /// AWS and MinIO: hexadecimal digits, the shorter one padded with zeros at its right, compared as text (Amazon S3
    /// user guide, "Event message structure").
    /// </summary>
    /// <exception cref="UnreadableEventException">No such number.</exception>
    public static string? OfAws(string? text) =>
        string.IsNullOrEmpty(text) ? null
        : text.Length <= LengthLimit && text.All(char.IsAsciiHexDigit) ? text.ToUpperInvariant()
        : throw new UnreadableEventException($"the sequencer '{text}' is no hexadecimal number");

    /// <summary>
    /// Ceph writes the memory of two 32-bit numbers, seconds and nanoseconds, which is little-endian: compared as
    /// text it would order by the lowest byte of the seconds.
    /// </summary>
    /// <inheritdoc cref="OfAws" path="/exception"/>
    public static string? OfCeph(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (text.Length != 16 || !ulong.TryParse(text, NumberStyles.AllowHexSpecifier, null, out _))
            throw new UnreadableEventException($"the sequencer '{text}' is not two 32-bit numbers");
        var bytes = Convert.FromHexString(text);
        var seconds = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
        var nanoseconds = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4));
        return $"{seconds:X8}{nanoseconds:X8}";
    }

    /// <summary>Whether an event says something that an entry does not know yet. Without a sequencer it may.</summary>
    public static bool IsNews(string? sequencer, string? known)
    {
        if (sequencer is null || known is null)
            return true;
        var length = Math.Max(sequencer.Length, known.Length);
        return string.CompareOrdinal(sequencer.PadRight(length, '0'), known.PadRight(length, '0')) > 0;
    }
}

/// <summary>A notification that can never be understood, with what is wrong; it is kept as a dead letter.</summary>
internal sealed class UnreadableEventException(string reason)
    : Exception($"The notification cannot be understood: {reason}.");
