using Pipeline.Contracts.Generation;
using Pipeline.Wire;

namespace Pipeline.Workers.Rendering;

/// <summary>What a claim tells the saga, or whoever removes originals. Sent again after a crash, a message has the same id.</summary>
internal static class RenderMessages
{
    public static WireMessage Succeeded(RenderClaim claim, string objectKey) =>
        Of(claim, new RenderSucceeded(claim.GenerationId, claim.Attempt, objectKey));

    public static WireMessage Failed(RenderClaim claim, RenderFailure failure) =>
        Of(
            claim,
            new RenderFailed(claim.GenerationId, claim.Attempt, failure.Kind, failure.Reason, failure.RetryAfter)
        );

    public static WireMessage Postponed(RenderClaim claim, DateTimeOffset until, string reason) =>
        Of(claim, new RenderPostponed(claim.GenerationId, claim.Attempt, until, reason));

    /// <summary>The originals of the attempts up to this one are to be deleted, as when the generation was removed.</summary>
    public static WireMessage Remove(RenderClaim claim) =>
        Of(claim, new RemoveOriginals(claim.GenerationId, claim.Attempt));

    private static WireMessage Of<T>(RenderClaim claim, T message)
    {
        var exchange = WireNames.ExchangeOf<T>();
        return new WireMessage(
            exchange,
            claim.GenerationId.ToString("D"),
            NameBasedGuid.Create(claim.GenerationId, $"{exchange} {claim.Attempt} {claim.Epoch}"),
            WireJson.Write(message),
            Mandatory: true
        );
    }
}
