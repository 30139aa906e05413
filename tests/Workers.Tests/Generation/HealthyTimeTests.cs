using Pipeline.Workers.Generation;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

public sealed class HealthyTimeTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly ManualClock _clock = new();
    private readonly HealthyTime _healthy;

    public HealthyTimeTests() => _healthy = new HealthyTime(_clock, 5 * Second);

    [Fact]
    public void It_grows_from_sweep_to_sweep()
    {
        _healthy.IsUnbroken.ShouldBeFalse("nothing was seen yet");
        _healthy.Seen().ShouldBe(TimeSpan.Zero);
        SeeAfter(3 * Second).ShouldBe(3 * Second);
        SeeAfter(5 * Second).ShouldBe(8 * Second);
        _healthy.IsUnbroken.ShouldBeTrue();
    }

    [Fact]
    public void Error_begins_it_anew()
    {
        _healthy.Seen();
        SeeAfter(4 * Second);

        _healthy.Broken();

        _healthy.IsUnbroken.ShouldBeFalse();
        SeeAfter(Second).ShouldBe(TimeSpan.Zero);
        SeeAfter(Second).ShouldBe(Second);
    }

    [Fact]
    public void Statement_that_was_held_up_begins_it_anew()
    {
        _healthy.Seen();

        _clock.Advance(6 * Second);

        _healthy.IsUnbroken.ShouldBeFalse();
        _healthy.Seen().ShouldBe(TimeSpan.Zero);
    }

    private TimeSpan SeeAfter(TimeSpan time)
    {
        _clock.Advance(time);
        return _healthy.Seen();
    }
}
