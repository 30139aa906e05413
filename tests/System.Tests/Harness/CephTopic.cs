using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace Pipeline.SystemTests.Harness;

/// <summary>Makes Ceph's gateway push a bucket's notifications into an exchange (Ceph, "Bucket notifications").</summary>
internal static class CephTopic
{
    /// <returns>The topic's ARN, for the bucket's notification.</returns>
    /// <param name="name">The topic, which is the routing key too.</param>
    /// <param name="broker">Without a password, which the gateway takes by https only; it then logs in as guest.</param>
    /// <param name="exchange">It must be there.</param>
    public static async Task<string> CreateAsync(string name, Uri broker, string exchange)
    {
        using var body = new FormUrlEncodedContent([
            new("Action", "CreateTopic"),
            new("Name", name),
            new("Attributes.entry.1.key", "push-endpoint"),
            new("Attributes.entry.1.value", broker.ToString()),
            new("Attributes.entry.2.key", "amqp-exchange"),
            new("Attributes.entry.2.value", exchange),
            new("Attributes.entry.3.key", "amqp-ack-level"),
            // With "broker" Ceph 16.2.15 aborts on a request that deletes several objects (docs/catalog.md).
            new("Attributes.entry.3.value", "none"),
        ]);
        using var client = new HttpClient { BaseAddress = new Uri(Stack.Required("Storage__ServiceUrl")) };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/") { Content = body };
        await SignAsync(request, client.BaseAddress);
        using var answer = await client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? text.Split("<TopicArn>")[1].Split("</TopicArn>")[0]
            : throw new InvalidOperationException($"CreateTopic: {(int)answer.StatusCode} {text}");
    }

    // Signature version 4 (AWS, "Signing AWS API requests"); the SDK's package for SNS is not at hand.
    private static async Task SignAsync(HttpRequestMessage request, Uri server)
    {
        var now = DateTimeOffset.UtcNow.ToString("yyyyMMdd'T'HHmmss'Z'");
        var scope = $"{now[..8]}/{Stack.Required("Storage__Region")}/sns/aws4_request";
        var hash = Hex(SHA256.HashData(await request.Content!.ReadAsByteArrayAsync()));
        var canonical = string.Join(
            '\n',
            "POST",
            "/",
            "",
            $"host:{server.Authority}",
            $"x-amz-content-sha256:{hash}",
            $"x-amz-date:{now}",
            "",
            "host;x-amz-content-sha256;x-amz-date",
            hash
        );
        var toSign = $"AWS4-HMAC-SHA256\n{now}\n{scope}\n{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        var key = Encoding.UTF8.GetBytes("AWS4" + Stack.Required("Storage__SecretKey"));
        foreach (var part in scope.Split('/').Append(toSign))
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        request.Headers.Add("x-amz-date", now);
        request.Headers.Add("x-amz-content-sha256", hash);
        request.Headers.Authorization = new AuthenticationHeaderValue(
            "AWS4-HMAC-SHA256",
            $"Credential={Stack.Required("Storage__AccessKey")}/{scope}, "
                + $"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={Hex(key)}"
        );
    }

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
}
