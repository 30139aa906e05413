namespace Pipeline.Workers.Lanes;

/// <summary>Settings of the lanes; section <c>Lanes</c>.</summary>
internal sealed class LaneOptions
{
    public const string Section = "Lanes";

    private static readonly TimeSpan DrainLimitLast = TimeSpan.FromSeconds(15);

    /// <value>
    /// 1 to 99; default 8. More lanes let more projects move side by side; one lane is worked by one process at a time.
    /// Every worker must have the same count. Changing it is a drain-and-switch (docs/operations.md).
    /// </value>
    public int Count { get; init; } = 8;

    /// <value>Messages a lane has at hand, 1 to 2,000; default 256. It must be the same in every worker.</value>
    public ushort Prefetch { get; init; } = 256;

    /// <value>Commands in one transaction, 1 to 2,000; default 256.</value>
    public int BatchLimit { get; init; } = 256;

    /// <value>Default 5 s: how soon the lanes of a process that has died are taken over.</value>
    public TimeSpan LeaseLength { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>Default 1 s; several renewals must fit into a lease.</value>
    public TimeSpan RenewEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <value>Default 10 s, up to 15 s: how long a lane may finish what it has at hand when it is handed over.</value>
    public TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <value>Bytes of one message's body; default 1 MiB, which holds 1,000 scenes with prompts of 1,000 characters.</value>
    public int BodySizeLimitBytes { get; init; } = 1024 * 1024;

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        Require(Count is >= 1 and <= 99, $"{Section}__Count must be 1 to 99");
        Require(Prefetch is >= 1 and <= 2000, $"{Section}__Prefetch must be 1 to 2000");
        Require(BatchLimit is >= 1 and <= 2000, $"{Section}__BatchLimit must be 1 to 2000");
        Require(RenewEvery > TimeSpan.Zero, $"{Section}__RenewEvery must be positive");
        Require(LeaseLength >= 3 * RenewEvery, $"{Section}__LeaseLength must be at least three times RenewEvery");
        // Past 20 s MassTransit cancels deliveries one by one, and the broker would return them out of order.
        Require(
            DrainLimit > TimeSpan.Zero && DrainLimit <= DrainLimitLast,
            $"{Section}__DrainLimit must be up to 15 s"
        );
        Require(BodySizeLimitBytes >= 1024, $"{Section}__BodySizeLimitBytes must be at least 1024");
    }

    private static void Require(bool holds, string rule)
    {
        if (!holds)
            throw new InvalidOperationException(rule + ".");
    }
}
