using System.Text;
using System.Text.RegularExpressions;
using Amazon.Runtime;

namespace Pipeline.Workers.Storage;

/// <summary>
/// Makes a listing readable that names, besides its encoded keys, one that XML 1.0 cannot hold: stores repeat what was
/// asked for, and say where to go on, in plain text (Ceph 16.2, "StartAfter" and "NextContinuationToken").
/// </summary>
/// <remarks>
/// Such a character becomes U+FFFD. Nobody reads these fields, but the SDK's XML reader refuses the whole page for one
/// of them. An answer whose keys are not encoded stays as it is: a key must not become another one.
/// </remarks>
internal sealed partial class ReadableListings : DelegatingHandler
{
    // 1,000 keys of 1,024 bytes, three characters for each, and what is said of them.
    private const int SizeLimit = 16 * 1_024 * 1_024;

    private const string Asked = "encoding-type=url";
    private const string Encoded = "<EncodingType>url</EncodingType>";

    // Here Ceph 16.2 encodes and does not say so. A key that became another one does no harm beside its upload's id.
    private const string Uploads = "<ListMultipartUploadsResult";

    protected override async Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request,
        CancellationToken cancellationToken
    )
    {
        var answer = await base.SendAsync(request, cancellationToken);
        if (
            !answer.IsSuccessStatusCode
            || request.RequestUri?.Query.Contains(Asked, StringComparison.Ordinal) is not true
        )
            return answer;

        await answer.Content.LoadIntoBufferAsync(SizeLimit, cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        if (
            (text.Contains(Encoded, StringComparison.Ordinal) || text.Contains(Uploads, StringComparison.Ordinal))
            && Illegal().IsMatch(text)
        )
            answer.Content = new StringContent(
                Illegal().Replace(text, "\uFFFD"),
                Encoding.UTF8,
                answer.Content.Headers.ContentType?.MediaType ?? "application/xml"
            );
        return answer;
    }

    // Extensible Markup Language 1.0, section 2.2, "Characters"; as they are, or by number.
    [GeneratedRegex(
        @"[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]"
            + "|&#0*([0-8]|1[124-9]|2[0-9]|3[01]|6553[45]);"
            + "|&#x0*([0-8BCEF]|1[0-9A-F]|FFF[EF]|D[89A-F][0-9A-F]{2});",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        5_000
    )]
    private static partial Regex Illegal();
}

/// <summary>The SDK's own client, with <see cref="ReadableListings"/> before it.</summary>
internal sealed class ListingClients : HttpClientFactory
{
    public override HttpClient CreateHttpClient(IClientConfig clientConfig)
    {
        var handler = new HttpClientHandler { AllowAutoRedirect = clientConfig.AllowAutoRedirect };
        if (clientConfig.GetWebProxy() is { } proxy)
            handler.Proxy = proxy;
        var client = new HttpClient(new ReadableListings { InnerHandler = handler });
        if (clientConfig.Timeout is { } timeout)
            client.Timeout = timeout;
        return client;
    }
}
