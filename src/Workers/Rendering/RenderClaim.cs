namespace Pipeline.Workers.Rendering;

/// <summary>This process's right to render an attempt, for as long as its lease's row still has the epoch.</summary>
/// <param name="GenerationId">The generation.</param>
/// <param name="Attempt">The attempt.</param>
/// <param name="Epoch">No other claim has the same.</param>
/// <param name="Model">The model, whose gate was open.</param>
/// <param name="StartedAt">UTC.</param>
internal sealed record RenderClaim(Guid GenerationId, int Attempt, long Epoch, string Model, DateTimeOffset StartedAt);
