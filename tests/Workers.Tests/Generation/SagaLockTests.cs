using Pipeline.Contracts.Generation;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Persistence;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>The lock held open by hand, so that what it prevents is seen each time and not now and then.</summary>
public sealed class SagaLockTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task Messages_of_one_saga_wait_while_a_transaction_of_it_is_open_also_before_its_row_is_there()
    {
        const int Requests = 5;
        var first = GenerationPipeline.NewRequest();
        var identity = RequestIdentity.Of(first);
        var saga = AdvisoryLock.Of(LockUse.Saga, identity.GenerationId);

        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var open = await connection.BeginTransactionAsync())
        {
            await saga.TakeAsync(connection, default);

            for (var i = 0; i < Requests; i++)
            {
                var request = first with { CommandId = Guid.NewGuid(), ImageId = Guid.NewGuid() };
                await pipeline.SendAsync(new RequestGeneration(identity.GenerationId, identity.Hash, request));
            }

            // Each would create the row: without the lock on the id, all but one would meet a duplicate key.
            await Until.TrueAsync("all wait", async () => await pipeline.WaitingAsync(saga) == Requests);
            (await SagasAsync(identity.GenerationId)).ShouldBe("0");
            await open.CommitAsync();
        }

        await Until.TrueAsync(
            "all have joined",
            async () => await TargetsAsync(identity.GenerationId) == $"{Requests}"
        );
        (await SagasAsync(identity.GenerationId)).ShouldBe("1");
        (await pipeline.SentAsync<RenderImage>(identity.GenerationId)).ShouldBe(1);
        (await pipeline.DeadLettersAsync()).ShouldBe(0u);
    }

    private Task<string?> SagasAsync(Guid id) =>
        pipeline.AskAsync("select count(*) from pipeline.generation_requests where correlation_id = $1", id);

    private Task<string?> TargetsAsync(Guid id) =>
        pipeline.AskAsync("select count(*) from pipeline.generation_targets where generation_id = $1", id);
}
