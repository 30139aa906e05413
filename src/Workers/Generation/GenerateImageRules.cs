using Pipeline.Contracts;
using Pipeline.Contracts.Generation;

namespace Pipeline.Workers.Generation;

/// <summary>The rules of a request. Each answer names the field and the rule.</summary>
internal static class GenerateImageRules
{
    /// <param name="request">As it came.</param>
    /// <param name="knowsModel">Whether a model's name is configured.</param>
    /// <param name="now">For the deadline.</param>
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(GenerateImage request, Func<string, bool> knowsModel, DateTimeOffset now) =>
        request switch
        {
            { ProjectId: var id } when id == Guid.Empty => "projectId: must not be empty or all zeros.",
            { ImageId: var id } when id == Guid.Empty => "imageId: must not be empty or all zeros.",
            { SceneId: { } scene } when RefuseText(scene, Limits.SceneIdLength) is { } rule => $"sceneId: {rule}",
            { SceneIndex: < 1 } => "sceneIndex: must be 1 or more.",
            { Slot: < 0 or > Limits.SlotLast } => $"slot: must be 0 to {Limits.SlotLast}.",
            { Prompt: var prompt } when string.IsNullOrWhiteSpace(prompt) => "prompt: must not be empty.",
            { Prompt.Length: > Limits.PromptLength } => $"prompt: must have at most {Limits.PromptLength} characters.",
            { Prompt: var prompt } when prompt.Contains('\0', StringComparison.Ordinal) =>
                "prompt: must not contain the character U+0000.",
            { Model: var model } when model is null || !knowsModel(model) => "model: is not configured here.",
            { Width: < Limits.EdgeFirst or > Limits.EdgeLast } =>
                $"width: must be {Limits.EdgeFirst} to {Limits.EdgeLast}.",
            { Height: < Limits.EdgeFirst or > Limits.EdgeLast } =>
                $"height: must be {Limits.EdgeFirst} to {Limits.EdgeLast}.",
            { Deadline: { } deadline } when deadline <= now => "deadline: must not have passed.",
            { Options: { } options } when RefuseOptions(options) is { } rule => $"options: {rule}",
            _ => null,
        };

    private static string? RefuseOptions(IReadOnlyDictionary<string, string> options) =>
        options.Count > Limits.Options ? $"must be at most {Limits.Options}."
        : options.Any(x =>
            RefuseText(x.Key, Limits.OptionLength) is not null
            || x.Value is null
            || x.Value.Length > Limits.OptionLength
        )
            ? $"names and values must have 1 to {Limits.OptionLength} characters."
        : null;

    private static string? RefuseText(string text, int length) =>
        text.Length is 0 || text.Length > length ? $"must have 1 to {length} characters."
        : text.Any(char.IsControl) ? "must not contain control characters."
        : null;
}
