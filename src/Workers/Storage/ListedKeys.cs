using System.Text;

namespace Pipeline.Workers.Storage;

/// <summary>Others' keys as a listing has them: S3 lets them be almost anything.</summary>
internal static class ListedKeys
{
    /// <summary>Refuses what no listing can have.</summary>
    /// <exception cref="ArgumentException">A bug of the caller.</exception>
    public static void Check(string key)
    {
        if (key.Length == 0 || Encoding.UTF8.GetByteCount(key) > ObjectKeys.ByteLimit)
            throw new ArgumentException($"The key must have 1 to {ObjectKeys.ByteLimit} bytes.", nameof(key));
    }

    /// <summary>Whether a key comes out of XML 1.0 as it went in: some characters it cannot hold, line ends it changes.</summary>
    public static bool FitXml(string key) => !key.Any(x => char.IsControl(x) || x is '\uFFFE' or '\uFFFF');
}
