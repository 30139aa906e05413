using Pipeline.SystemTests.Harness;

namespace Pipeline.SystemTests.Fire;

/// <summary>
/// The two workers of a run: the steady one is paused, the victim is killed and replaced. One that ends by itself is
/// started again, as a supervisor does.
/// </summary>
internal sealed class FireWorkers(Stack stack, Action<string> say)
{
    private const int LeastShare = 3; // Of eight lanes for two.

    private readonly List<DateTime> _kills = [];
    private readonly List<DateTime> _pauses = [];
    private WorkerProcess? _steady;
    private WorkerProcess? _victim;
    private int _victims;

    /// <summary>When a victim was killed.</summary>
    public IReadOnlyList<DateTime> Kills => _kills;

    /// <summary>When the steady worker was paused.</summary>
    public IReadOnlyList<DateTime> Pauses => _pauses;

    /// <summary>How often a worker has ended by itself.</summary>
    public int Exits { get; private set; }

    private string VictimName => $"victim-{_victims}";

    public void Start()
    {
        _steady = stack.StartWorker("steady");
        _victim = stack.StartWorker(VictimName);
    }

    public async Task KillAsync()
    {
        _kills.Add(DateTimeOffset.UtcNow.UtcDateTime);
        await _victim!.KillAsync();
        say($"killed {VictimName}");
        _victims++;
        _victim = stack.StartWorker(VictimName);
    }

    public void Pause()
    {
        _pauses.Add(DateTimeOffset.UtcNow.UtcDateTime);
        _steady!.Pause();
    }

    /// <summary>Does nothing to one that runs.</summary>
    public void Resume() => _steady!.Resume();

    /// <summary>Looks after workers that have ended by themselves.</summary>
    public void Supervise()
    {
        _steady = Supervised(_steady, "steady");
        _victim = Supervised(_victim, VictimName);
    }

    /// <summary>Whether both work, with a good share of the lanes each.</summary>
    public async Task<bool> HoldLanesAsync() =>
        await stack.ScalarAsync<long>(
            """
            select count(*) from (
                select worker from status.lanes where held and worker in ('steady', $1)
                group by worker having count(*) >= $2) x
            """,
            VictimName,
            (long)LeastShare
        ) == 2;

    private WorkerProcess? Supervised(WorkerProcess? worker, string name)
    {
        if (worker is not { HasExited: true })
            return worker;
        Exits++;
        say($"{name} has ended by itself with status {worker.ExitCode}:\n{worker.Tail}");
        return stack.StartWorker(name);
    }
}
