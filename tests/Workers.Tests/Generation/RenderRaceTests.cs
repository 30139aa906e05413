using System.Collections.Concurrent;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>
/// Random interleavings of what a saga, its workers and the sweeps do to one generation, two of them at a time, with
/// each message twice and late. Whatever the order: an attempt is claimed once, so that a provider is asked at most
/// once an attempt; and nothing is claimed any more once an image is recorded.
/// </summary>
public sealed class RenderRaceTests(RenderRacePipeline pipeline, ITestOutputHelper output)
    : IClassFixture<RenderRacePipeline>
{
    private const int Runs = 16;
    private const int Steps = 24;

    [Fact]
    public async Task Recorded_success_is_never_followed_by_a_claim_and_no_attempt_is_claimed_twice()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var recorded = 0;
        for (var run = 0; run < Runs; run++)
        {
            var race = await Race.BeginAsync(pipeline, new Random(seed + run));
            for (var step = 0; step < Steps; step++)
                await race.StepAsync();
            recorded += await race.CheckAsync($"seed {seed}, run {run}") ? 1 : 0;
        }

        recorded.ShouldBeGreaterThan(0, $"seed {seed}: no run came to an image");
    }

    private sealed class Race(RenderRacePipeline pipeline, GenerateImage request, Random random)
    {
        private readonly List<object> _messages = [];
        private readonly ConcurrentBag<RenderClaim> _held = [];
        private readonly ConcurrentBag<(RenderClaim Claim, bool BehindSuccess)> _claims = [];
        private readonly ConcurrentQueue<string> _log = [];

        private Guid Id { get; } = RequestIdentity.Of(request).GenerationId;

        public static async Task<Race> BeginAsync(RenderRacePipeline pipeline, Random random)
        {
            var race = new Race(pipeline, GenerationPipeline.NewRequest(), random);
            await pipeline.ConsumeAsync(race.Request);
            await Until.TrueAsync("it renders", async () => await race.StateAsync() == "Rendering");
            return race;
        }

        private GenerateImage Request => request;

        /// <summary>Two things at the same time; each is chosen before either begins.</summary>
        public async Task StepAsync()
        {
            _messages.AddRange(await pipeline.TakeSentAsync(Id));
            var isRecorded = await IsRecordedAsync();
            await Task.WhenAll(Choose(isRecorded)(), Choose(isRecorded)());
        }

        /// <returns>Whether an image was recorded.</returns>
        public async Task<bool> CheckAsync(string run)
        {
            var log = $"{run}: {string.Join(", ", _log)}";
            _claims.Where(x => x.BehindSuccess).ShouldBeEmpty(log);
            _claims.Select(x => x.Claim.Attempt).ShouldBeUnique(log);
            var succeeded = await pipeline.AskAsync(
                """
                select string_agg(attempt::text, ',') from pipeline.generation_attempts
                where generation_id = $1 and outcome = 'succeeded'
                """,
                Id
            );
            if (succeeded is null)
                return false;
            succeeded.ShouldNotContain(",", customMessage: log);
            _claims.Max(x => x.Claim.Attempt).ShouldBe(int.Parse(succeeded), log);
            return true;
        }

        private Func<Task> Choose(bool isRecorded)
        {
            var (choice, chance) = (random.Next(100), random.Next());
            return choice switch
            {
                < 45 when _messages.Count > 0 => Deliver(chance, isRecorded),
                < 60 when !_held.IsEmpty => () => EndAsync(chance),
                < 70 when !_held.IsEmpty => () => RenewAsync(chance),
                < 80 => LapseAsync,
                < 90 => () => TellAsync(new RenderLeaseExpired(Id, 1 + (chance % 4))),
                < 95 => () => TellAsync(new CancelGeneration(Guid.NewGuid(), request.ProjectId, Id, null)),
                _ => () => TellAsync(new RetryGeneration(Guid.NewGuid(), request.ProjectId, Id, null)),
            };
        }

        /// <summary>One of the messages, in any order; half of them are kept to be delivered again.</summary>
        private Func<Task> Deliver(int chance, bool isRecorded)
        {
            var message = _messages[chance % _messages.Count];
            if (chance % 2 == 0)
                _messages.Remove(message);
            return message switch
            {
                RenderImage render => () => ClaimAsync(render, isRecorded),
                RenderSucceeded succeeded => () => TellAsync(succeeded),
                RenderFailed failed => () => TellAsync(failed),
                _ => throw new NotSupportedException(message.ToString()),
            };
        }

        private async Task ClaimAsync(RenderImage render, bool isRecorded)
        {
            if (await pipeline.Leases.ClaimAsync(render, CancellationToken.None) is not { } claim)
                return;
            _log.Enqueue($"claim {claim.Attempt}");
            _claims.Add((claim, isRecorded));
            _held.Add(claim);
        }

        private async Task EndAsync(int chance)
        {
            if (!_held.TryTake(out var claim))
                return;
            var key = ObjectKeys.ForGenerated(Id, new string('a', 64), "png", claim.Attempt);
            var stored = new StoredObject(key, 1, "etag", "image/png", DateTimeOffset.UtcNow);
            var failure = new RenderFailure(RenderFailureKinds.Transient, "no");
            var ended =
                chance % 3 == 0
                    ? await pipeline.Ledger.FailAsync(claim, failure)
                    : await pipeline.Ledger.SucceedAsync(claim, stored);
            _log.Enqueue($"end {claim.Attempt} {ended}");
            if (chance % 5 == 0)
                _held.Add(claim); // A worker whose commit seemed to fail ends it once more.
        }

        private async Task RenewAsync(int chance)
        {
            var claims = _held.ToArray();
            if (claims.Length > 0)
                await pipeline.Leases.RenewAsync(claims[chance % claims.Length], CancellationToken.None);
        }

        private async Task LapseAsync()
        {
            _log.Enqueue("lapse");
            await pipeline.AskAsync(
                """
                update pipeline.generation_leases set lease_until = now() - interval '1 second'
                where generation_id = $1
                """,
                Id
            );
        }

        private async Task TellAsync<T>(T message)
        {
            _log.Enqueue($"{message}");
            await pipeline.ConsumeAsync(message);
        }

        private async Task<bool> IsRecordedAsync() =>
            await pipeline.AskAsync(
                """
                select count(*) from pipeline.generation_attempts where generation_id = $1 and outcome = 'succeeded'
                """,
                Id
            ) != "0";

        private Task<string?> StateAsync() =>
            pipeline.AskAsync("select current_state from pipeline.generation_requests where correlation_id = $1", Id);
    }
}
