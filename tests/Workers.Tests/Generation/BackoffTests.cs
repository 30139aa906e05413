using Pipeline.Workers.Generation;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

public sealed class BackoffTests
{
    private static readonly GenerationOptions Options = new()
    {
        BackoffFirst = TimeSpan.FromSeconds(2),
        BackoffLimit = TimeSpan.FromSeconds(60),
    };

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 4)]
    [InlineData(3, 8)]
    [InlineData(5, 32)]
    [InlineData(6, 60)]
    [InlineData(20, 60)]
    public void Pause_is_anything_from_nothing_to_the_doubled_ceiling(int failures, double ceiling)
    {
        new Backoff(Options, new Fixed(0)).Pause(failures, asked: null).ShouldBe(TimeSpan.Zero);
        new Backoff(Options, new Fixed(0.5)).Pause(failures, asked: null).ShouldBe(TimeSpan.FromSeconds(ceiling / 2));

        const int Seed = 20261121;
        var backoff = new Backoff(Options, new Random(Seed));
        var pauses = Enumerable.Range(0, 2_000).Select(_ => backoff.Pause(failures, null).TotalSeconds).ToArray();
        pauses.ShouldAllBe(x => x >= 0 && x < ceiling);
        // Full jitter: as many in each tenth of the range, and not a narrow band around its middle.
        foreach (var tenth in pauses.GroupBy(x => (int)(x / ceiling * 10)))
            tenth.Count().ShouldBeInRange(120, 280, $"seed {Seed}, tenth {tenth.Key}");
        pauses.Select(x => (int)(x / ceiling * 10)).Distinct().Count().ShouldBe(10);
    }

    [Theory]
    [InlineData(0, 17, 17)] // More than the jitter would have.
    [InlineData(0.5, 0.1, 1)] // Less: the jitter stands.
    [InlineData(0, 1_000_000, 3_600)] // A provider that asks for days is asked again after an hour.
    public void Wish_of_the_provider_is_the_least_within_a_limit(double random, double asked, double seconds) =>
        new Backoff(Options, new Fixed(random))
            .Pause(failures: 1, TimeSpan.FromSeconds(asked))
            .ShouldBe(TimeSpan.FromSeconds(seconds));

    private sealed class Fixed(double value) : Random
    {
        public override double NextDouble() => value;
    }
}
