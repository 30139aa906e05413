using MassTransit;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Persistence;
using Pipeline.Workers.Projects;

namespace Pipeline.Workers.Deleting;

/// <summary>Receipts of people's commands to a deletion, in the saga's transaction; a redelivery changes nothing.</summary>
internal sealed class DeletionAnswers(TimeProvider clock)
{
    /// <summary>Looks for the command's receipt and, where there is one, queues its answer again.</summary>
    public async Task<bool> IsNewAsync(ConsumeContext<RetryDeletion> context, PipelineDbContext db, Guid projectId) =>
        !await CommandReceipts.RecallAsync(
            db.Connection(),
            db.Transaction(),
            RequestOf(context, projectId),
            clock.GetDatabaseNow(),
            context.CancellationToken
        );

    /// <summary>Writes the receipt of a command that <see cref="IsNewAsync"/>.</summary>
    public Task EndAsync(
        ConsumeContext<RetryDeletion> context,
        PipelineDbContext db,
        Guid projectId,
        string outcome,
        string? reason
    )
    {
        var (request, at) = (RequestOf(context, projectId), clock.GetDatabaseNow());
        return CommandReceipts.EndAsync(
            db.Connection(),
            db.Transaction(),
            request,
            outcome,
            reason,
            outcome == Outcomes.Rejected ? [CommandReceipts.Rejection(request, reason!, at)] : [],
            at,
            context.CancellationToken
        );
    }

    private static CommandRequest RequestOf(ConsumeContext<RetryDeletion> context, Guid projectId) =>
        CommandRequest.Of(
            context.Message,
            CommandIds.Of(context, context.Message.CommandId),
            DeliveryHeaders.Replays(context.ReceiveContext)
        ) with
        {
            ProjectId = projectId,
        };
}
