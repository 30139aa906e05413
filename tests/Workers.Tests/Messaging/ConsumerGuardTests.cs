using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>When a work queue without its consumer is repaired, and when it ends the process.</summary>
public sealed class ConsumerGuardTests : IAsyncLifetime
{
    private readonly ManualClock _clock = new();
    private Lifetime _host = new();
    private readonly Counts _counts = new();
    private readonly Endpoint _sick = new("sick");
    private readonly Endpoint _healthy = new("healthy");
    private ConsumerGuard _guard = null!;

    public async Task InitializeAsync()
    {
        _guard = NewGuard();
        _host.Start();
        await _guard.StartAsync(CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        await _guard.StopAsync(CancellationToken.None);
        _guard.Dispose();
    }

    [Fact]
    public async Task Endpoint_whose_channel_is_closed_is_started_anew_and_goes_on()
    {
        _sick.IsConsuming = false;
        await LookAsync(ConsumerGuard.RestartAfter - 1);
        _sick.Restarts.ShouldBe(0);
        await LookAsync(1);
        _sick.Restarts.ShouldBe(1);

        _sick.IsConsuming = true;
        await LookAsync(3 * ConsumerGuard.EndAfter);
        _host.IsStopping.ShouldBeFalse();
        (_sick.Restarts, _healthy.Restarts).ShouldBe((1, 0));
    }

    [Fact]
    public async Task Endpoint_that_stays_without_consumer_ends_the_process_and_is_named()
    {
        _sick.IsConsuming = false;
        await LookAsync(ConsumerGuard.EndAfter - 1);
        _host.IsStopping.ShouldBeFalse();
        await LookAsync(1);

        _host.IsStopping.ShouldBeTrue();
        (await _guard.Lost).ShouldContain("'sick'");
        (await _guard.Lost).ShouldContain("its channel is closed");
        // Within 15 s, from a loss that the first look found at once or 2 s late.
        (ConsumerGuard.EndAfter * ConsumerGuard.LookEvery).ShouldBeLessThan(TimeSpan.FromSeconds(15));
    }

    [Fact]
    public async Task Consumer_that_only_this_process_believes_in_counts_as_none()
    {
        _counts.Consumers["sick"] = 0;
        await LookAsync(ConsumerGuard.EndAfter);

        _sick.Restarts.ShouldBe(2);
        _host.IsStopping.ShouldBeTrue();
        (await _guard.Lost).ShouldContain("the broker knows of no consumer");
    }

    [Fact]
    public async Task Broker_that_answers_nobody_is_no_reason_to_end()
    {
        _counts.IsAway = true;
        (_sick.IsConsuming, _healthy.IsConsuming) = (false, false);
        await LookAsync(10 * ConsumerGuard.EndAfter);
        (_sick.Restarts, _healthy.Restarts).ShouldBe((0, 0));

        // It counts from the broker's return, which both are given time for.
        _counts.IsAway = false;
        await LookAsync(ConsumerGuard.RestartAfter);
        (_sick.Restarts, _healthy.Restarts).ShouldBe((1, 1));
        (_sick.IsConsuming, _healthy.IsConsuming) = (true, true);
        await LookAsync(ConsumerGuard.EndAfter);
        _host.IsStopping.ShouldBeFalse();
    }

    [Fact]
    public async Task Queue_about_which_the_broker_says_nothing_is_not_judged()
    {
        _sick.IsConsuming = false;
        _counts.Consumers.Remove("sick");
        await LookAsync(3 * ConsumerGuard.EndAfter);

        _sick.Restarts.ShouldBe(0);
        _host.IsStopping.ShouldBeFalse();
    }

    [Fact]
    public async Task Absences_count_in_a_row()
    {
        for (var i = 0; i < 5; i++)
        {
            _sick.IsConsuming = false;
            await LookAsync(ConsumerGuard.EndAfter - 1);
            _sick.IsConsuming = true;
            await LookAsync(1);
        }

        _sick.Restarts.ShouldBe(10);
        _host.IsStopping.ShouldBeFalse();
    }

    [Fact]
    public async Task Endpoint_that_cannot_be_stopped_holds_nothing_up()
    {
        var never = new TaskCompletionSource();
        _sick.Restart = cancellation => never.Task.WaitAsync(cancellation);
        _sick.IsConsuming = false;
        _healthy.IsConsuming = false;
        await LookAsync(ConsumerGuard.RestartAfter);
        _healthy.Restarts.ShouldBe(1);
        _healthy.IsConsuming = true;

        await LookAsync(ConsumerGuard.EndAfter - ConsumerGuard.RestartAfter);
        _host.IsStopping.ShouldBeTrue();
    }

    [Fact]
    public async Task Endpoint_that_connects_is_not_interrupted_and_has_the_same_time()
    {
        (_sick.IsConsuming, _sick.IsConnecting) = (false, true);
        await LookAsync(ConsumerGuard.EndAfter - 1);
        (_sick.Restarts, _host.IsStopping).ShouldBe((0, false));
        await LookAsync(1);
        _host.IsStopping.ShouldBeTrue();
    }

    [Fact]
    public async Task Host_that_starts_has_more_time_and_is_not_interfered_with()
    {
        await DisposeAsync();
        _host = new Lifetime();
        _guard = NewGuard();
        _sick.IsConsuming = false;
        await _guard.StartAsync(CancellationToken.None);

        await LookAsync(ConsumerGuard.EndAfterAtStart - 1);
        (_sick.Restarts, _host.IsStopping).ShouldBe((0, false));
        await LookAsync(1);
        _host.IsStopping.ShouldBeTrue();
    }

    [Fact]
    public async Task Host_that_stops_may_lose_its_consumers()
    {
        _host.StopApplication();
        _sick.IsConsuming = false;
        await _guard.ExecuteTask!;

        _guard.Lost.IsCompleted.ShouldBeFalse();
        _sick.Restarts.ShouldBe(0);
    }

    private ConsumerGuard NewGuard()
    {
        var guard = new ConsumerGuard(_counts, _host, _clock, NullLogger<ConsumerGuard>.Instance);
        guard.Watch(_sick);
        guard.Watch(_healthy);
        return guard;
    }

    /// <summary>Lets the clock run until the guard has looked so often, and has done what follows.</summary>
    private async Task LookAsync(int times)
    {
        for (var i = 0; i < times; i++)
        {
            var looks = _counts.Looks;
            await Until.TrueAsync(
                "a look",
                () =>
                {
                    if (_counts.Looks == looks && _clock.HasTimers)
                        _clock.Advance(ConsumerGuard.LookEvery);
                    return Task.FromResult(_counts.Looks > looks && (_clock.HasTimers || _host.IsStopping));
                }
            );
        }
    }

    private sealed class Counts : IConsumerCounts
    {
        private int _looks;

        public Dictionary<string, uint> Consumers { get; } =
            new(StringComparer.Ordinal) { ["sick"] = 1, ["healthy"] = 1 };

        public bool IsAway { get; set; }

        public int Looks => Volatile.Read(ref _looks);

        public Task<IReadOnlyDictionary<string, uint>?> ReadAsync(
            IReadOnlyCollection<string> queues,
            CancellationToken cancellation
        )
        {
            Interlocked.Increment(ref _looks);
            return Task.FromResult<IReadOnlyDictionary<string, uint>?>(IsAway ? null : Consumers);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class Endpoint(string queue) : IWatchedEndpoint
    {
        private int _restarts;

        public string Queue => queue;

        public bool IsConsuming { get; set; } = true;

        public bool IsConnecting { get; set; }

        public int Restarts => Volatile.Read(ref _restarts);

        public Func<CancellationToken, Task> Restart { get; set; } = _ => Task.CompletedTask;

        public Task RestartAsync(CancellationToken cancellation)
        {
            Interlocked.Increment(ref _restarts);
            return Restart(cancellation);
        }
    }

    private sealed class Lifetime : IHostApplicationLifetime
    {
        private readonly CancellationTokenSource _started = new();
        private readonly CancellationTokenSource _stopping = new();

        public CancellationToken ApplicationStarted => _started.Token;

        public CancellationToken ApplicationStopping => _stopping.Token;

        public CancellationToken ApplicationStopped => CancellationToken.None;

        public bool IsStopping => _stopping.IsCancellationRequested;

        public void Start() => _started.Cancel();

        public void StopApplication() => _stopping.Cancel();
    }
}
