namespace Pipeline.Workers.Lanes;

/// <summary>Settings of the lanes; section <c>Lanes</c>.</summary>
internal sealed class LaneOptions
{
    public const string Section = "Lanes";

    /// <summary>
    /// After this many links in a row on which nothing could be acknowledged, a lane takes one message at a time.
    /// </summary>
    public const int BreaksBeforeOneByOne = 3;

    /// <summary>The prefetch of a lane whose messages at hand exceeded <see cref="BufferLimitBytes"/>.</summary>
    public const ushort LargeBodyPrefetch = 4;

    /// <summary>
    /// How often the pause before a link is opened again doubles: 200 ms to 3.2 s, below <see cref="OpenLimit"/>.
    /// </summary>
    public const int ReopenDoublings = 4;

    /// <summary>The first pause before a lost link is opened again.</summary>
    public static readonly TimeSpan ReopenPause = TimeSpan.FromMilliseconds(200);

    /// <value>
    /// 1 to 99; default 8. More lanes let more projects move side by side; one lane is worked by one process at a time.
    /// Every worker must have the same count. Changing it is a drain-and-switch (docs/operations.md).
    /// </value>
    public int Count { get; init; } = 8;

    /// <value>
    /// Messages a lane has at hand, 1 to 2,000; default 512, which is two batches: one is being published and
    /// acknowledged while the next one arrives. It must be the same in every worker.
    /// </value>
    public ushort Prefetch { get; init; } = 512;

    /// <value>Commands in one transaction, 1 to 2,000; default 256.</value>
    public int BatchLimit { get; init; } = 256;

    /// <value>Default 5 s: how soon the lanes of a process that has died are taken over.</value>
    public TimeSpan LeaseLength { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>Default 1 s; several renewals must fit into a lease.</value>
    public TimeSpan RenewEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <value>Default 10 s: how long a lane that is handed over may take to finish the batch in work and to
    /// close.</value>
    public TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(10);

    /// <value>
    /// Default 30 s: how long a batch may take to be committed, or to be published and acknowledged, before the lane
    /// counts as stuck. The lease of a stuck lane is not renewed, so another worker takes the lane over.
    /// </value>
    public TimeSpan ProgressLimit { get; init; } = TimeSpan.FromSeconds(30);

    /// <value>Default 5 s: how long a lane may be without a link to the broker before its lease is no longer
    /// renewed.</value>
    public TimeSpan OpenLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>
    /// Default 5 s: how long the broker may take to confirm a close, and the socket to take an acknowledgement. A lease
    /// is released only after a confirmed close.
    /// </value>
    public TimeSpan CloseLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <value>
    /// Bytes of the bodies that a lane has at hand, default 64 MiB. A lane above it opens its link anew with a prefetch
    /// of
    /// <see cref="LargeBodyPrefetch"/>, until as many messages as a full prefetch holds are done.
    /// </value>
    public long BufferLimitBytes { get; init; } = 64 * 1024 * 1024;

    /// <value>Bytes of one message's body; default 1 MiB, which holds 1,000 scenes with prompts of 1,000
    /// characters.</value>
    public int BodySizeLimitBytes { get; init; } = 1024 * 1024;

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        Require(Count is >= 1 and <= 99, $"{Section}__Count must be 1 to 99");
        Require(Prefetch is >= 1 and <= 2000, $"{Section}__Prefetch must be 1 to 2000");
        Require(BatchLimit is >= 1 and <= 2000, $"{Section}__BatchLimit must be 1 to 2000");
        Require(RenewEvery > TimeSpan.Zero, $"{Section}__RenewEvery must be positive");
        Require(LeaseLength >= 3 * RenewEvery, $"{Section}__LeaseLength must be at least three times RenewEvery");
        Require(DrainLimit > TimeSpan.Zero, $"{Section}__DrainLimit must be positive");
        Require(ProgressLimit > TimeSpan.Zero, $"{Section}__ProgressLimit must be positive");
        // The pause before a link is opened again counts as time without one.
        Require(OpenLimit >= TimeSpan.FromSeconds(4), $"{Section}__OpenLimit must be at least 4 s");
        Require(CloseLimit > TimeSpan.Zero, $"{Section}__CloseLimit must be positive");
        Require(BodySizeLimitBytes >= 1024, $"{Section}__BodySizeLimitBytes must be at least 1024");
        Require(
            BufferLimitBytes >= BodySizeLimitBytes,
            $"{Section}__BufferLimitBytes must be at least {Section}__BodySizeLimitBytes"
        );
    }

    private static void Require(bool holds, string rule)
    {
        if (!holds)
            throw new InvalidOperationException(rule + ".");
    }
}
