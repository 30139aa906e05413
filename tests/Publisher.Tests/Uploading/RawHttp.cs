using System.Net.Sockets;
using System.Text;

namespace Pipeline.Publisher.Tests.Uploading;

/// <summary>HTTP/1.1 by hand, for requests that a well-behaved client does not send.</summary>
internal sealed class RawHttp : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60); // A bound for a slow machine, never a sleep.

    private readonly TcpClient _client = new();
    private string _host = "";

    public static async Task<RawHttp> ConnectAsync(HttpClient publisher)
    {
        var address = publisher.BaseAddress ?? throw new InvalidOperationException("The publisher is not served.");
        var raw = new RawHttp { _host = address.Authority };
        await raw._client.ConnectAsync(address.Host, address.Port);
        return raw;
    }

    /// <summary>The head of a form with the boundary <c>b</c>.</summary>
    public Task SendHeadAsync(string path, string length) =>
        SendAsync(
            Encoding.ASCII.GetBytes(
                $"POST {path} HTTP/1.1\r\nHost: {_host}\r\nContent-Type: multipart/form-data; boundary=b\r\n{length}\r\n\r\n"
            )
        );

    public Task SendChunkAsync(byte[] bytes) =>
        SendAsync([.. Encoding.ASCII.GetBytes($"{bytes.Length:x}\r\n"), .. bytes, .. "\r\n"u8]);

    /// <summary>Sends a chunk again and again until the other side answers or hangs up.</summary>
    /// <returns>Bytes that were sent.</returns>
    public async Task<long> SendChunksUntilAnsweredAsync(byte[] bytes, long most)
    {
        var sent = 0L;
        try
        {
            while (_client.Available == 0 && sent < most)
            {
                await SendChunkAsync(bytes);
                sent += bytes.Length;
            }
        }
        catch (IOException)
        {
            // It hung up after its answer, which waits to be read.
        }

        return sent;
    }

    /// <summary>What comes until the answer's head and problem are there.</summary>
    public async Task<string> ReadAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        var answer = new StringBuilder();
        var buffer = new byte[16 * 1024];
        while (!answer.ToString().Contains("\"status\":", StringComparison.Ordinal))
        {
            var count = await _client.GetStream().ReadAsync(buffer, limit.Token);
            if (count == 0)
                break;
            answer.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return answer.ToString();
    }

    public void Dispose() => _client.Dispose();

    private async Task SendAsync(byte[] bytes)
    {
        using var limit = new CancellationTokenSource(Patience);
        await _client.GetStream().WriteAsync(bytes, limit.Token);
    }
}
