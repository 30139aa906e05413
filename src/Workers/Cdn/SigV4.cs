using System.Globalization;
using System.Security.Cryptography;
using Amazon.Runtime.Internal.Auth;

namespace Pipeline.Workers.Cdn;

/// <summary>What is signed.</summary>
internal sealed record SigV4Request(string Method, Uri Address, byte[] Body, string Region, string Service);

/// <summary>
/// AWS Signature Version 4 of a plain HTTP request (IAM user guide, "Create a signed AWS API request"). The signature
/// itself is the AWS SDK's; here is only the canonical request.
/// </summary>
internal static class SigV4
{
    private const string TimeFormat = "yyyyMMdd'T'HHmmss'Z'";

    /// <returns>Headers to add, <c>Authorization</c> among them. <c>Host</c> is the address's own.</returns>
    public static IReadOnlyDictionary<string, string> Sign(
        SigV4Request request,
        string accessKey,
        string secretKey,
        DateTimeOffset now
    )
    {
        var time = now.UtcDateTime.ToString(TimeFormat, CultureInfo.InvariantCulture);
        var host = request.Address.Authority;
        const string SignedHeaders = "host;x-amz-date";
        var canonical = string.Join(
            '\n',
            request.Method,
            request.Address.AbsolutePath,
            request.Address.Query.TrimStart('?'),
            $"host:{host}",
            $"x-amz-date:{time}",
            "",
            SignedHeaders,
            Convert.ToHexStringLower(SHA256.HashData(request.Body))
        );
        var result = AWS4Signer.ComputeSignature(
            accessKey,
            secretKey,
            request.Region,
            now.UtcDateTime,
            request.Service,
            SignedHeaders,
            canonical
        );
        return new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["x-amz-date"] = time,
            ["Authorization"] = result.ForAuthorizationHeader,
        };
    }
}
