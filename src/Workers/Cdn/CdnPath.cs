namespace Pipeline.Workers.Cdn;

/// <summary>An object's key as a part of an address: what a bucket was given by hand may hold any character.</summary>
internal static class CdnPath
{
    public static string Of(string key) => string.Join('/', key.Split('/').Select(Uri.EscapeDataString));
}
