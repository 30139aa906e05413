using System.Diagnostics;

namespace Pipeline.SystemTests.Fire;

/// <summary>Processes that use up processor time. They end with this, and by themselves after a time.</summary>
internal sealed class BusyProcesses : IDisposable
{
    // Of processor time; longer than any run. The kernel ends the process then, also if this one was killed before.
    private const int LimitSeconds = 900;

    private readonly Process[] _processes;

    private BusyProcesses(Process[] processes) => _processes = processes;

    public static BusyProcesses Start(int perCore) =>
        new([
            .. Enumerable
                .Range(0, perCore * Environment.ProcessorCount)
                .Select(_ =>
                    Process.Start(
                        "/bin/sh",
                        ["-c", $"ulimit -t {LimitSeconds}; exec <&- >&- 2>&-; while :; do :; done"]
                    )
                ),
        ]);

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }
}
