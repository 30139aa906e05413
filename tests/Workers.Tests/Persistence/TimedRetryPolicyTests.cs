using MassTransit;
using MassTransit.Middleware;
using MassTransit.RetryPolicies;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Persistence;

/// <summary>How long retries last does not depend on how long each try takes.</summary>
public sealed class TimedRetryPolicyTests
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(15);

    private readonly ManualClock _clock = new();

    [Theory]
    [InlineData(0)]
    [InlineData(30)] // A lock, or a connection that nobody answers.
    public void Tries_end_when_the_time_is_over_however_long_each_takes(int seconds)
    {
        var took = TimeSpan.FromSeconds(seconds);
        var policy = new TimedRetryPolicy(new Any(), Pause, Limit, _clock);
        using var delivery = policy.CreatePolicyContext(new Delivery());
        var started = _clock.GetUtcNow();

        _clock.Advance(took);
        delivery.CanRetry(new TimeoutException(), out var retry).ShouldBeTrue();
        do
        {
            retry.Delay.ShouldBe(Pause);
            _clock.Advance(Pause + took);
        } while (retry.CanRetry(new TimeoutException(), out retry));

        (_clock.GetUtcNow() - started).ShouldBeInRange(Limit, Limit + Pause + took);
    }

    [Fact]
    public void What_it_is_not_for_is_not_tried_again()
    {
        var policy = new TimedRetryPolicy(new Any(), Pause, Limit, _clock);
        using var delivery = policy.CreatePolicyContext(new Delivery());

        delivery.CanRetry(new InvalidOperationException(), out _).ShouldBeFalse();
    }

    private sealed class Delivery : BasePipeContext;

    private sealed class Any : IExceptionFilter
    {
        public bool Match(Exception exception) => exception is TimeoutException;

        public void Probe(ProbeContext context) { }
    }
}
