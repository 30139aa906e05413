using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Pipeline.SystemTests.Harness;

/// <summary>A real worker process, started as an operator starts it, that a test may kill, pause and stop.</summary>
public sealed partial class WorkerProcess : IAsyncDisposable
{
    private const int Sigkill = 9;
    private const int Sigterm = 15;
    private const int Sigcont = 18;
    private const int Sigstop = 19;

    private readonly Process _process;
    private readonly LogTail _log;

    private WorkerProcess(Process process, string name)
    {
        _log = new LogTail(name);
        _process = process;
        process.OutputDataReceived += (_, line) => _log.Add(line.Data);
        process.ErrorDataReceived += (_, line) => _log.Add(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Log => _log.All;

    /// <summary>The last lines, for the message of a test that fails.</summary>
    public string Tail => _log.End;

    /// <summary>The most memory that the process has had resident, in bytes (proc(5), VmHWM).</summary>
    public long PeakBytes =>
        long.Parse(
            File.ReadLines($"/proc/{_process.Id}/status")
                .Single(x => x.StartsWith("VmHWM:", StringComparison.Ordinal))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]
        ) * 1024;

    /// <summary>Whether it has ended, with all that it has printed read.</summary>
    public bool HasExited
    {
        get
        {
            if (!_process.HasExited)
                return false;
            _process.WaitForExit();
            return true;
        }
    }

    public int ExitCode => _process.ExitCode;

    public static WorkerProcess Start(string name, IReadOnlyDictionary<string, string> settings) =>
        new(Launch("run", settings, name), name);

    /// <returns>What it has printed.</returns>
    /// <exception cref="InvalidOperationException">It failed, and has printed this.</exception>
    public static async Task<string> MigrateAsync(IReadOnlyDictionary<string, string> settings)
    {
        await using var migrate = new WorkerProcess(Launch("migrate", settings, "migrate"), "migrate");
        await migrate._process.WaitForExitAsync();
        if (migrate.ExitCode != 0)
            throw new InvalidOperationException($"migrate failed:\n{migrate.Log}");
        return migrate.Log;
    }

    /// <summary>kill -9: nothing in the process learns of it.</summary>
    public async Task KillAsync()
    {
        Signal(Sigkill);
        await _process.WaitForExitAsync();
    }

    public void Pause() => Signal(Sigstop);

    public void Resume() => Signal(Sigcont);

    /// <summary>SIGTERM, as an orchestrator stops a process, and waits for its end.</summary>
    public async Task StopAsync()
    {
        Signal(Sigterm);
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    private static Process Launch(string verb, IReadOnlyDictionary<string, string> settings, string name)
    {
        var start = Programs.Start(Programs.Workers, settings, verb);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.Environment["Worker__Name"] = name;
        return Process.Start(start)!;
    }

    private void Signal(int signal)
    {
        if (Kill(_process.Id, signal) != 0)
            throw new InvalidOperationException($"Signal {signal} did not reach process {_process.Id}.\n{Tail}");
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
