using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Persistence.Sagas;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Generation;

/// <summary>A saga's message while the database ends its session: all of it is repeated, and no part stays.</summary>
public sealed class LostSessionTests(GenerationPipeline pipeline) : IClassFixture<GenerationPipeline>
{
    [Fact]
    public async Task Message_whose_session_is_ended_is_repeated_and_is_no_dead_letter()
    {
        var request = GenerationPipeline.NewRequest();
        var identity = RequestIdentity.Of(request);
        var saga = AdvisoryLock.Of(LockUse.Saga, identity.GenerationId);
        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var open = await connection.BeginTransactionAsync())
        {
            await saga.TakeAsync(connection, default);
            await pipeline.SendAsync(new RequestGeneration(identity.GenerationId, identity.Hash, request));
            await Until.TrueAsync("it waits", async () => await pipeline.WaitingAsync(saga) == 1);
            await pipeline.EndSessionsAsync(); // The holder's as well.
        }

        await pipeline.UntilAsync(identity.GenerationId, "Rendering", 1);
        (await pipeline.SentAsync<RenderImage>(identity.GenerationId)).ShouldBe(1);
        (await pipeline.DeadLettersAsync()).ShouldBe(0u);
    }

    [Fact]
    public async Task Transition_whose_session_is_ended_halfway_is_repeated_as_a_whole()
    {
        const int Key = 4711;
        var request = GenerationPipeline.NewRequest();
        var identity = RequestIdentity.Of(request);
        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        {
            // Holds the transition at its message to the rendering workers, when its rows are written.
            await using var hold = connection.CreateCommand();
            hold.CommandText = $"""
                select pg_advisory_lock({Key}, 0);
                create function public.hold() returns trigger language plpgsql as $$
                begin
                    perform pg_advisory_xact_lock({Key}, 0);
                    return new;
                end $$;
                create trigger hold before insert on pipeline.outbox for each row
                when (new.exchange = 'render-image') execute function public.hold();
                """;
            await hold.ExecuteNonQueryAsync();
            await pipeline.SendAsync(new RequestGeneration(identity.GenerationId, identity.Hash, request));
            await Until.TrueAsync(
                "it is held",
                async () => await pipeline.WaitingAsync(new AdvisoryLock((LockUse)Key, 0)) == 1
            );
            await pipeline.EndSessionsAsync(); // The holder's as well.
        }

        await pipeline.UntilAsync(identity.GenerationId, "Rendering", 1);
        (await pipeline.SentAsync<RenderImage>(identity.GenerationId)).ShouldBe(1);
        (await pipeline.DeadLettersAsync()).ShouldBe(0u);
    }

    [Fact]
    public async Task Context_that_has_lost_its_session_does_not_go_on_in_another_one()
    {
        var contexts = pipeline.Services.GetRequiredService<IDbContextFactory<PipelineDbContext>>();
        await using var db = await contexts.CreateDbContextAsync();
        await using var transaction = await db.BeginOnlyAsync(default);
        await db.Set<GenerationSaga>().AnyAsync();

        await db.Connection().CloseAsync(); // As Npgsql does when it finds the session gone.

        var error = await Should.ThrowAsync<Exception>(() => db.Set<GenerationSaga>().AnyAsync());
        Transience.IsOutage(error).ShouldBeTrue(error.ToString());
    }
}
