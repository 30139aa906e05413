using Pipeline.Workers.Models;

namespace Pipeline.Workers.Rendering;

/// <summary>Bounds of rendering; section <c>Rendering</c>.</summary>
internal sealed class RenderingOptions
{
    public const string Section = "Rendering";

    /// <value>0.5 seconds to 10 minutes; default 60 s: how soon the attempt of a dead worker is taken over.</value>
    public TimeSpan LeaseLength { get; init; } = TimeSpan.FromSeconds(60);

    /// <value>1 second to 20 minutes; default 5 min: how long a provider may take, the picture's bytes included.</value>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <value>Renders at once in this process, 1 to 64; default 4. Each holds a picture in memory.</value>
    public int ConcurrentRenders { get; init; } = 4;

    /// <value>Up to 10 s; default 2 s: how long a render waits for its provider's turn before it gives the slot back.</value>
    public TimeSpan TurnPatience { get; init; } = TimeSpan.FromSeconds(2);

    /// <value>1 second to 1 hour; default 20 s: how long "too many requests" closes a gate that names no time.</value>
    public TimeSpan GatePause { get; init; } = TimeSpan.FromSeconds(20);

    /// <value>2 to 1,000; default 5: calls within 2 minutes of which half have to fail to close the gate.</value>
    public int OutageThreshold { get; init; } = 5;

    /// <value>1 second to 1 hour; default 30 s: how long an outage closes the gate.</value>
    public TimeSpan OutagePause { get; init; } = TimeSpan.FromSeconds(30);

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        var (second, hour) = (TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));
        Require(
            LeaseLength >= second / 2 && LeaseLength <= 10 * TimeSpan.FromMinutes(1),
            "LeaseLength: 0.5 s to 10 min"
        );
        Require(
            AttemptTimeout >= second && AttemptTimeout <= ModelOptions.AttemptTimeoutMax,
            $"AttemptTimeout: 1 s to {ModelOptions.AttemptTimeoutMax.TotalMinutes:0} min"
        );
        Require(ConcurrentRenders is >= 1 and <= 64, "ConcurrentRenders: 1 to 64");
        Require(TurnPatience >= TimeSpan.Zero && TurnPatience <= 10 * second, "TurnPatience: 0 to 10 s");
        Require(GatePause >= second && GatePause <= hour, "GatePause: 1 s to 1 h");
        Require(OutageThreshold is >= 2 and <= 1_000, "OutageThreshold: 2 to 1,000");
        Require(OutagePause >= second && OutagePause <= hour, "OutagePause: 1 s to 1 h");
    }

    private static void Require(bool holds, string rule)
    {
        if (!holds)
            throw new InvalidOperationException($"{Section}__{rule}.");
    }
}
