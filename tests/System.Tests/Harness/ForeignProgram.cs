using System.Diagnostics;
using System.Text;

namespace Pipeline.SystemTests.Harness;

/// <summary>A program of any language, run to its end as a person would run it.</summary>
internal sealed record ForeignProgram(int ExitCode, string Output)
{
    /// <summary>Runs it with the checkout's root, or another folder, as its working directory.</summary>
    /// <exception cref="TimeoutException">It did not end in time, and was killed. The message holds what it printed.</exception>
    public static async Task<ForeignProgram> RunAsync(
        string[] command,
        IReadOnlyDictionary<string, string> settings,
        TimeSpan limit,
        string? folder = null
    )
    {
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? Repository.Root,
        };
        foreach (var (variable, value) in settings)
            start.Environment[variable] = value;

        var output = new StringBuilder();
        using var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException e)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{string.Join(' ', command)} did not end within {limit}:\n{Text()}", e);
        }

        return new ForeignProgram(process.ExitCode, Text());

        void Keep(string? line)
        {
            lock (output)
                output.AppendLine(line);
        }

        string Text()
        {
            lock (output)
                return output.ToString();
        }
    }
}

/// <summary>A folder that goes with the test.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("system-tests-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
