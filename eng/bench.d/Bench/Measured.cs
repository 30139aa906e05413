namespace Pipeline.Bench;

/// <summary>What was measured of one contender in one shape.</summary>
internal sealed class Measured
{
    /// <summary>Confirmed publishes per second while no process of the contender lives.</summary>
    public double Enqueue { get; set; }

    /// <summary>Seconds from starting the processes to the last commit of the queue that waited for them.</summary>
    public double ColdSeconds { get; set; }

    /// <summary>Commits per second from a full queue, one figure a round.</summary>
    public List<double> Drain { get; } = [];

    /// <summary>Commits per second while as many are published, one figure a round.</summary>
    public List<double> Both { get; } = [];

    /// <summary>Processor time of the drains for one command, one figure a round.</summary>
    public List<CpuTime> Cpu { get; } = [];

    /// <summary>Milliseconds from publishing to the commit, ascending.</summary>
    public double[] Latency { get; set; } = [];

    /// <summary>Nearest rank.</summary>
    public double Percentile(double share) => Latency[Math.Max(0, (int)Math.Ceiling(share * Latency.Length) - 1)];

    public static double Median(IEnumerable<double> figures)
    {
        var sorted = figures.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}

/// <summary>Both contenders in one shape.</summary>
/// <param name="Shape">Lanes and processes of both.</param>
internal sealed record Pair(Shape Shape)
{
    public Measured Ours { get; } = new();

    public Measured Floor { get; } = new();
}
