using System.Diagnostics;

namespace Pipeline.Bench;

/// <summary>One process of a contender, started and ended by its id.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    // A worker drains what is at hand; longer than that is a defect.
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(40);

    private readonly Process _process;

    private ChildProcess(Process process) => _process = process;

    public int Pid => _process.Id;

    /// <param name="log">File for both outputs, appended to.</param>
    /// <param name="dll">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Added to this process's own.</param>
    public static ChildProcess Start(
        string log,
        string dll,
        IEnumerable<string> arguments,
        params IEnumerable<(string Name, string Value)> environment
    )
    {
        // The shell sends the output to the file and is replaced by the program, whose id is the shell's.
        var start = new ProcessStartInfo("/bin/sh")
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            WorkingDirectory = Path.GetDirectoryName(dll),
        };
        foreach (var argument in (string[])["-c", "log=$1; shift; exec dotnet \"$@\" >>\"$log\" 2>&1", "sh", log, dll])
            start.ArgumentList.Add(argument);
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return new ChildProcess(Process.Start(start)!);
    }

    /// <summary>Waits for a program that ends by itself.</summary>
    /// <exception cref="InvalidOperationException">It ended with another status than 0.</exception>
    public async Task SucceedAsync(CancellationToken cancellation)
    {
        await _process.WaitForExitAsync(cancellation);
        if (_process.ExitCode != 0)
            throw new InvalidOperationException($"A process ended with status {_process.ExitCode}; see its log.");
    }

    /// <exception cref="InvalidOperationException">It has ended, which nobody asked for.</exception>
    public void RequireAlive()
    {
        if (_process.HasExited)
            throw new InvalidOperationException($"Process {Pid} ended with status {_process.ExitCode}; see its log.");
    }

    /// <summary>Asks it to end (SIGTERM, and the end of its input), waits, and kills it in the end.</summary>
    public async Task StopAsync()
    {
        if (_process.HasExited)
            return;

        _process.StandardInput.Close();
        using var kill = Process.Start("kill", ["-TERM", Pid.ToString()]);
        await kill.WaitForExitAsync();
        using var limit = new CancellationTokenSource(StopLimit);
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _process.Dispose();
    }
}
