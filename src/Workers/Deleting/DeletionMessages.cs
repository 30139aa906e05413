using Pipeline.Contracts.Deleting;
using Pipeline.Wire;
using Pipeline.Workers.Commands;

namespace Pipeline.Workers.Deleting;

/// <summary>What the saga and its workers tell each other. Sent again after a crash, a message has the same id.</summary>
internal static class DeletionMessages
{
    public static WireMessage Step(PurgeImage step) => Of(step, step.DeletionId, $"{step.Attempt}");

    public static WireMessage Done(PurgeImage step, bool hasMore) =>
        Of(new PurgeStepDone(step.DeletionId, step.Attempt, hasMore), step.DeletionId, $"{step.Attempt}");

    public static WireMessage Failed(PurgeImage step, string kind, string reason) =>
        Of(
            new PurgeStepFailed(step.DeletionId, step.Attempt, step.Step, kind, reason),
            step.DeletionId,
            $"{step.Attempt}"
        );

    /// <summary>A sweep's word; each one is a message of its own.</summary>
    public static WireMessage Due(Guid deletionId, int attempt) =>
        Of(new DeletionDue(deletionId, attempt), deletionId, $"{attempt} {Guid.NewGuid()}");

    /// <summary>Images are being purged: tells who has generated them.</summary>
    public static WireMessage Released(DeletionSaga saga) =>
        Of(new ReleaseGenerated(saga.ProjectId, saga.ImageId), saga.CorrelationId, part: "");

    /// <returns>Null for bytes that were replaced: their picture is there, and nobody waits for their end.</returns>
    public static Announcement? Deleted(DeletionSaga saga, DateTimeOffset at) =>
        (saga.Kind, saga.ImageId) switch
        {
            (DeletionSaga.Image, { } imageId) => Announcement.OfCause(
                saga.CorrelationId,
                new ImageDeleted(saga.CommandId, saga.ProjectId, imageId, saga.CorrelationId, saga.PurgedKeys, at)
            ),
            (DeletionSaga.Project, _) => Announcement.OfCause(
                saga.CorrelationId,
                new ProjectDeleted(saga.CommandId, saga.ProjectId, saga.CorrelationId, saga.PurgedKeys, at)
            ),
            _ => null,
        };

    private static WireMessage Of<T>(T message, Guid deletionId, string part)
    {
        var exchange = WireNames.ExchangeOf<T>();
        return new WireMessage(
            exchange,
            RoutingKey: "",
            NameBasedGuid.Create(deletionId, $"{exchange} {part}"),
            WireJson.Write(message),
            Mandatory: true
        );
    }
}
