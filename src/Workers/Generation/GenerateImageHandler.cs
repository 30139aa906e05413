using Microsoft.EntityFrameworkCore;
using Pipeline.Contracts.Generation;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Models;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Generation;

/// <summary>Checks a request and hands it to the saga of its picture.</summary>
/// <remarks>
/// Nothing is written for a good one: the saga writes it down, and the message is acknowledged only when the broker has
/// confirmed the saga's. A crash in between sends that message twice, which the saga knows.
/// </remarks>
internal sealed class GenerateImageHandler(
    IDbContextFactory<PipelineDbContext> contexts,
    ModelCatalog models,
    GenerationOptions options,
    ConfirmedPublisher publisher,
    TimeProvider clock
) : ICommandHandler<GenerateImage>
{
    public async Task HandleAsync(
        CommandRunner runner,
        CommandRequest delivery,
        GenerateImage request,
        CancellationToken cancellation
    )
    {
        if (
            GenerateImageRules.Refuse(request, models.Knows, clock.GetUtcNow()) is { } rule
            && !await IsTakenInAsync(delivery.Key, cancellation)
        )
        {
            await runner.RefuseAsync(delivery, rule, cancellation);
            return;
        }

        var identity = RequestIdentity.Of(request, options.ShareRenderings);
        var asked = new RequestGeneration(identity.GenerationId, identity.Hash, request, delivery.Replays);
        var message = WireMessage.Command(asked, request.CommandId, request.ProjectId);
        await publisher.PublishAsync(message, cancellation);
    }

    /// <summary>
    /// A deadline passes and settings change: a request that comes twice may break a rule that it kept at first. Its
    /// generation answers it.
    /// </summary>
    private async Task<bool> IsTakenInAsync(CommandKey key, CancellationToken cancellation)
    {
        await using var db = await contexts.CreateDbContextAsync(cancellation);
        return await db.Set<GenerationTarget>()
            .AnyAsync(x => x.CommandId == key.CommandId && x.ProjectId == key.Scope, cancellation);
    }
}
