namespace Pipeline.Bench;

/// <summary>What was measured of one contender.</summary>
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

    /// <summary>Processor time of the drains.</summary>
    public List<CpuTime> Cpu { get; } = [];

    /// <summary>Milliseconds from publishing to the commit, ascending.</summary>
    public double[] Latency { get; set; } = [];

    public CpuTime CpuOfCommand =>
        new(Cpu.Average(x => x.Processes), Cpu.Average(x => x.Broker), Cpu.Average(x => x.Database));

    /// <summary>Nearest rank.</summary>
    public double Percentile(double share) => Latency[Math.Max(0, (int)Math.Ceiling(share * Latency.Length) - 1)];

    public static double Median(IEnumerable<double> figures)
    {
        var sorted = figures.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
