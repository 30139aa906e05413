using Pipeline.Contracts.Generation;

namespace Pipeline.Workers.Generation;

/// <summary>The rules of a request that its schema cannot say. Each answer names the field and the rule.</summary>
internal static class GenerateImageRules
{
    /// <param name="request">As it came, or as a storyboard made it.</param>
    /// <param name="knowsModel">Whether a model's name is configured.</param>
    /// <param name="now">For the deadline.</param>
    /// <returns>Null, or the first rule that is broken.</returns>
    public static string? Refuse(GenerateImage request, Func<string, bool> knowsModel, DateTimeOffset now) =>
        request switch
        {
            { Prompt: var prompt } when string.IsNullOrWhiteSpace(prompt) => "prompt: must not be empty.",
            { Model: var model } when !knowsModel(model) => "model: is not configured here.",
            { Deadline: { } deadline } when deadline <= now => "deadline: must not have passed.",
            { Options: { } options } when options.Keys.Any(x => x.Any(char.IsControl)) =>
                "options: names must not contain control characters.",
            _ => null,
        };
}
