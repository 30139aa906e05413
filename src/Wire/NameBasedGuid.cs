using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Pipeline.Wire;

/// <summary>UUID version 5 (RFC 9562, section 5.5): the same name in the same namespace is always the same id.</summary>
public static class NameBasedGuid
{
    /// <param name="space">The namespace: here the id of what the new id is derived from.</param>
    /// <param name="name">What it is derived for, such as <c>save-image</c>.</param>
    public static Guid Create(Guid space, string name)
    {
        var text = Encoding.UTF8.GetBytes(name);
        var input = new byte[16 + text.Length];
        space.TryWriteBytes(input, bigEndian: true, out _);
        text.CopyTo(input, 16);

        // SHA-1 is what the RFC fixes for version 5; nothing here rests on its collision resistance.
#pragma warning disable CA5350
        var hash = SHA1.HashData(input).AsSpan(0, 16);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash, bigEndian: true);
    }
}
