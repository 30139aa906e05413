using System.Text;

namespace Pipeline.Workers.Storage;

/// <summary>The order in which S3 lists keys: by the bytes of their UTF-8 (Amazon S3 API reference, "ListObjectsV2").</summary>
internal static class KeyOrder
{
    /// <summary>Not .NET's ordinal order, which sorts by UTF-16: there U+FFFD comes after U+1F389, here before.</summary>
    public static int Compare(string one, string other) =>
        Encoding.UTF8.GetBytes(one).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(other));
}
