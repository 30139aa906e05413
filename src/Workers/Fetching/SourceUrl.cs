namespace Pipeline.Workers.Fetching;

/// <summary>Which URLs of strangers are followed at all; redirects have to keep to the same rules.</summary>
internal static class SourceUrl
{
    private const int LengthMax = 2_048;

    /// <returns>Null, or the rule that the URL breaks.</returns>
    public static string? Refuse(Uri url) =>
        url.OriginalString.Length > LengthMax ? $"must have at most {LengthMax} characters."
        : url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps ? "must be http or https."
        : url.Host.Length == 0 ? "must name a host."
        : url.UserInfo.Length > 0 ? "must not contain a user name or password."
        : null;

    /// <inheritdoc cref="Refuse(Uri)"/>
    public static string? Refuse(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var url) ? Refuse(url) : "must be an absolute URL.";
}
