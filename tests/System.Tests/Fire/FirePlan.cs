using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;

namespace Pipeline.SystemTests.Fire;

/// <summary>One disturbance of a pipeline that is working.</summary>
internal enum Strike
{
    /// <summary>SIGKILL for one of the two workers; a new one is started in its place.</summary>
    Kill,

    /// <summary>The broker closes every connection, the publisher's included.</summary>
    CloseConnections,

    /// <summary>PostgreSQL ends every session of the workers, as a failover does.</summary>
    EndSessions,

    /// <summary>SIGSTOP for the other worker, and SIGCONT some seconds later.</summary>
    Pause,
}

/// <summary>A share of the commands, and what happens while it is applied.</summary>
/// <param name="Strikes">One right after the other.</param>
/// <param name="After">The share of these commands that is applied before the first strike; 0 to 1.</param>
internal sealed record FireAct(Strike[] Strikes, double After);

/// <summary>What one run does; the same seed makes the same commands and the same strikes at the same points.</summary>
/// <param name="Seed">Printed by whoever runs it.</param>
/// <param name="Commands">All of them writes, for random projects and scenes.</param>
/// <param name="BusyPerCore">Processes for each processor core that do nothing but use it up.</param>
internal sealed record FirePlan(int Seed, int Commands, int BusyPerCore)
{
    public const int ProjectCount = 100;

    private const int SceneCount = 20;

    private const int SlotCount = 3;

    // Some pauses end before the lease, some after it, and some after the broker has given the connections up.
    private const int PauseSecondsLeast = 2;

    private const int PauseSecondsMost = 20;

    private static readonly Guid Namespace = Guid.Parse("2f7f9d0a-6a35-4f0b-9d52-3d1c4a6f5e11");

    public FireScript Write()
    {
        var random = new Random(Seed);
        Guid[] projects = [.. Enumerable.Range(0, ProjectCount).Select(x => Id($"project {x}"))];
        SaveImage[] commands = [.. Enumerable.Range(0, Commands).Select(x => Command(x, projects, random))];
        Strike[][] strikes =
        [
            Shuffled(Strike.Kill, Strike.CloseConnections, Strike.EndSessions),
            Shuffled(Strike.Kill, Strike.CloseConnections, Strike.EndSessions),
            [Strike.Kill],
            [Strike.Pause],
        ];
        random.Shuffle(strikes);
        FireAct[] acts = [.. strikes.Select(x => new FireAct(x, 0.05 + random.NextDouble() / 2))];
        var pause = TimeSpan.FromSeconds(random.Next(PauseSecondsLeast, PauseSecondsMost + 1));
        return new FireScript(projects, commands, acts, pause);

        Strike[] Shuffled(params Strike[] order)
        {
            random.Shuffle(order);
            return order;
        }
    }

    /// <summary>What defines a project before its writes.</summary>
    public static WireMessage Definition(Guid project) => Harness.Commands.Storyboard(project, SceneCount).ToWire();

    private SaveImage Command(int number, Guid[] projects, Random random) =>
        Harness.Commands.Save(
            projects[random.Next(projects.Length)],
            random.Next(1, SceneCount + 1),
            random.Next(SlotCount),
            Id($"image {number}")
        ) with
        {
            CommandId = Id($"command {number}"),
        };

    private Guid Id(string name) => NameBasedGuid.Create(Namespace, $"{Seed} {name}");
}

/// <summary>A plan with everything that its seed decides.</summary>
/// <param name="Projects">Each is defined before the first act.</param>
/// <param name="Commands">In the order of publishing; every act has an even share, and one share comes after the last.</param>
/// <param name="Acts">In order.</param>
/// <param name="Pause">How long <see cref="Strike.Pause"/> lasts.</param>
internal sealed record FireScript(Guid[] Projects, SaveImage[] Commands, FireAct[] Acts, TimeSpan Pause);
