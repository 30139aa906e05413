using Pipeline.Contracts.Importing;
using Pipeline.Workers.Fetching;

namespace Pipeline.Workers.Importing;

/// <summary>The rules of an <see cref="ImportImage"/> that need no server and that its schema cannot say.</summary>
internal static class ImportRules
{
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(ImportImage command) =>
        command switch
        {
            { SourceUrl: null, UploadKey: null } or { SourceUrl: not null, UploadKey: not null } =>
                "sourceUrl, uploadKey: exactly one of them must be given.",
            { SourceUrl: { } url } when SourceUrl.Refuse(url) is { } rule => $"sourceUrl: {rule}",
            _ => null,
        };
}
