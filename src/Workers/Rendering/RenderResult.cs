using Pipeline.Formats;

namespace Pipeline.Workers.Rendering;

/// <summary>
/// How an attempt ended at its provider: a <see cref="RenderedPicture"/>, a <see cref="RenderFailure"/> or a
/// <see cref="ProviderBusy"/>.
/// </summary>
internal abstract record RenderResult;

/// <summary>A whole picture within the limits.</summary>
internal sealed record RenderedPicture(ReadOnlyMemory<byte> Content, ImageFacts Facts) : RenderResult;

/// <summary>The attempt is spent.</summary>
/// <param name="Kind">One of <see cref="Contracts.Generation.RenderFailureKinds"/>.</param>
/// <param name="Reason">For people.</param>
/// <param name="RetryAfter">The provider's own wish; null where it has none.</param>
/// <param name="IsOutage">True where the provider itself seems to be away, whatever it was asked.</param>
internal sealed record RenderFailure(string Kind, string Reason, TimeSpan? RetryAfter = null, bool IsOutage = false)
    : RenderResult;

/// <summary>The provider takes nothing now; the attempt is not spent.</summary>
/// <param name="Pause">How long to leave it alone; null where it did not say.</param>
/// <param name="Reason">For people.</param>
/// <param name="ClosesGate">True where that holds for every worker, not for this process alone.</param>
internal sealed record ProviderBusy(TimeSpan? Pause, string Reason, bool ClosesGate) : RenderResult;

/// <summary>A generator has no other way to say that there is no picture. Its result is what the attempt ends with.</summary>
internal sealed class NoPictureException(RenderResult result) : Exception(result.ToString())
{
    public RenderResult Result { get; } = result;
}
