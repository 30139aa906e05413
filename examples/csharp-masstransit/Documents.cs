using Pipeline.Contracts.Storyboards;

namespace PipelineExamples;

/// <summary>A storyboard's file.</summary>
internal sealed record Storyboard(int ImagesPerScene, IReadOnlyList<SceneDefinition> Scenes);

/// <summary>What <c>GET /projects/{project}/receipts/{command}</c> answers, as far as it is used here.</summary>
internal sealed record Receipt(string Command, string Outcome, string? Reason);
