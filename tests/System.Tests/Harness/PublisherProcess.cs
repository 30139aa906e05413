using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Pipeline.SystemTests.Harness;

/// <summary>A publisher that serves its HTTP API, in a process of its own on a port of its own.</summary>
internal sealed partial class PublisherProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);

    private readonly Process _process;

    private PublisherProcess(Process process, Uri url)
    {
        _process = process;
        Url = url;
    }

    public Uri Url { get; }

    public static async Task<PublisherProcess> ServeAsync(IReadOnlyDictionary<string, string> settings)
    {
        var start = Programs.Start(Programs.Publisher, settings, "serve");
        start.RedirectStandardError = true;
        start.Environment["Publisher__Url"] = "http://127.0.0.1:0";

        var process = Process.Start(start)!;
        var lines = new List<string>();
        var url = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        process.ErrorDataReceived += (_, line) =>
        {
            lines.Add(line.Data ?? "");
            if (line.Data is null)
                url.TrySetException(new InvalidOperationException($"The publisher ended:\n{string.Join('\n', lines)}"));
            else if (Address().Match(line.Data) is { Success: true } match)
                url.TrySetResult(new Uri(match.Groups["url"].Value));
        };
        process.BeginErrorReadLine();
        return new PublisherProcess(process, await url.Task.WaitAsync(StartLimit));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    [GeneratedRegex(
        "serving at (?<url>http://[^ ,]+)",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Address();
}
