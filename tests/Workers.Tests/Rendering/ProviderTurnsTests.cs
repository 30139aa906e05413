using Pipeline.Workers.Models;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Rendering;

public sealed class ProviderTurnsTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = 3 * Second;

    private readonly ManualClock _clock = new();

    [Fact]
    public async Task Requests_of_a_minute_are_evenly_spread_also_after_a_rest()
    {
        using var turns = NewTurns(requestsPerMinute: 60);
        for (var round = 0; round < 2; round++)
        {
            var entering = Enumerable.Range(0, 4).Select(_ => turns.EnterAsync(CancellationToken.None)).ToArray();

            for (var taken = 1; taken <= entering.Length; taken++)
            {
                (await DoneAsync(entering[taken - 1])).ShouldNotBeNull().Dispose();
                entering.Count(x => x.IsCompleted).ShouldBe(taken);
                _clock.Advance(Second - TimeSpan.FromTicks(1));
                entering.Count(x => x.IsCompleted).ShouldBe(taken);
                _clock.Advance(TimeSpan.FromTicks(1));
            }

            _clock.Advance(100 * Second); // A rest saves nothing up.
        }
    }

    [Fact]
    public async Task Request_whose_moment_is_past_its_patience_is_sent_away_at_once_and_takes_nobodys()
    {
        using var turns = NewTurns(requestsPerMinute: 60, concurrency: 8);
        var within = Enumerable.Range(0, 4).Select(_ => turns.EnterAsync(CancellationToken.None)).ToArray();

        for (var refused = 0; refused < 3; refused++)
            (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldBeNull();

        _clock.Advance(Patience);
        foreach (var turn in within)
            (await DoneAsync(turn)).ShouldNotBeNull().Dispose();
        _clock.Advance(Second);
        var next = turns.EnterAsync(CancellationToken.None);
        (await DoneAsync(next)).ShouldNotBeNull("those who were sent away have not used up its moment");
    }

    [Fact]
    public async Task Places_are_bounded_and_given_back()
    {
        using var turns = NewTurns(requestsPerMinute: null);
        var first = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
        using var second = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
        using var third = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
        using var fourth = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();

        var waiting = turns.EnterAsync(CancellationToken.None);
        waiting.IsCompleted.ShouldBeFalse();
        first.Dispose();
        using var next = (await DoneAsync(waiting)).ShouldNotBeNull();

        var late = turns.EnterAsync(CancellationToken.None);
        _clock.Advance(Patience);
        (await DoneAsync(late)).ShouldBeNull();
    }

    [Fact]
    public async Task Without_any_patience_what_is_free_is_taken_and_nothing_is_waited_for()
    {
        var options = new RenderingOptions { TurnPatience = TimeSpan.Zero };
        using var turns = new ProviderTurns(new ModelOptions { RequestsPerMinute = 60 }, options, _clock);

        using var first = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
        (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldBeNull();
        _clock.Advance(Second);
        using var second = (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
    }

    [Fact]
    public async Task Caller_that_gives_up_leaves_its_place()
    {
        using var turns = NewTurns(requestsPerMinute: 60);
        var held = await TakeAllButOneAsync(turns);
        using var caller = new CancellationTokenSource();
        var waiting = turns.EnterAsync(caller.Token);

        await caller.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(waiting);
        _clock.Advance(10 * Second);
        (await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull();
        held.ForEach(x => x.Dispose());
    }

    private ProviderTurns NewTurns(int? requestsPerMinute, int concurrency = 4) =>
        new(
            new ModelOptions { Concurrency = concurrency, RequestsPerMinute = requestsPerMinute },
            new RenderingOptions { ConcurrentRenders = 8, TurnPatience = Patience },
            _clock
        );

    private async Task<List<IDisposable>> TakeAllButOneAsync(ProviderTurns turns)
    {
        var held = new List<IDisposable>();
        for (var place = 0; place < 3; place++)
        {
            held.Add((await DoneAsync(turns.EnterAsync(CancellationToken.None))).ShouldNotBeNull());
            if (place < 2)
                _clock.Advance(Second);
        }

        return held;
    }

    private static Task<IDisposable?> DoneAsync(Task<IDisposable?> turn) => turn.WaitAsync(TimeSpan.FromSeconds(60));
}
