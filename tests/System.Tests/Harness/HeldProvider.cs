using System.Net;
using System.Text;

namespace Pipeline.SystemTests.Harness;

/// <summary>An OpenAI-compatible provider on loopback that answers when the test lets it, and counts its calls.</summary>
internal sealed class HeldProvider : IAsyncDisposable
{
    // A transparent PNG of one pixel.
    private const string Picture =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

    private readonly HttpListener _listener = new();
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _serving;
    private int _calls;

    public HeldProvider()
    {
        // The listener cannot choose a port by itself; a socket can, and the port stays free for the moment between.
        using (var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0))
        {
            probe.Start();
            Endpoint = new Uri($"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/v1/");
        }

        _listener.Prefixes.Add(Endpoint.GetLeftPart(UriPartial.Authority) + "/");
        _listener.Start();
        _serving = ServeAsync();
    }

    public Uri Endpoint { get; }

    public int Calls => Volatile.Read(ref _calls);

    /// <summary>From now on every call, also those that wait, is answered.</summary>
    public void Release() => _released.TrySetResult();

    public async ValueTask DisposeAsync()
    {
        Release();
        _listener.Stop();
        await _serving;
        _listener.Close();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (_listener.IsListening)
                _ = AnswerAsync(await _listener.GetContextAsync());
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task AnswerAsync(HttpListenerContext call)
    {
        Interlocked.Increment(ref _calls);
        await _released.Task;
        try
        {
            var body = Encoding.UTF8.GetBytes($$"""{"created":1,"data":[{"b64_json":"{{Picture}}"}]}""");
            call.Response.ContentType = "application/json";
            await call.Response.OutputStream.WriteAsync(body);
            call.Response.Close();
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or IOException)
        {
            // The caller was killed while it waited, which is what some tests are about.
        }
    }
}
