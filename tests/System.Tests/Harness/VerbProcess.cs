using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace Pipeline.SystemTests.Harness;

/// <summary>A real run of the publisher's command line, that a test may kill.</summary>
public sealed class VerbProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _out = new();
    private readonly StringBuilder _error = new();

    private VerbProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Keep(_out, line.Data);
        process.ErrorDataReceived += (_, line) => Keep(_error, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Out
    {
        get
        {
            lock (_out)
                return _out.ToString();
        }
    }

    public string Error
    {
        get
        {
            lock (_error)
                return _error.ToString();
        }
    }

    public int ExitCode => _process.ExitCode;

    public bool HasExited => _process.HasExited;

    public static VerbProcess Start(Stack stack, params string[] args) => Start(stack.PublisherSettings, args);

    public static VerbProcess Start(IReadOnlyDictionary<string, string> settings, params string[] args)
    {
        var start = Programs.Start(Programs.Publisher, settings, args);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        return new VerbProcess(Process.Start(start)!);
    }

    public Task EndAsync() => _process.WaitForExitAsync();

    /// <summary>kill -9: nothing in the process learns of it.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    private static void Keep(StringBuilder text, string? line)
    {
        lock (text)
            text.AppendLine(line);
    }
}
