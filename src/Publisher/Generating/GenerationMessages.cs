using Pipeline.Contracts.Generation;
using Pipeline.Wire;

namespace Pipeline.Publisher.Generating;

/// <summary>Generation's commands as they go to the broker, and the ids that follow from theirs.</summary>
internal static class GenerationMessages
{
    public static WireMessage ToWire(this GenerateImage command) =>
        WireMessage.Command(command, command.CommandId, command.ProjectId);

    public static WireMessage ToWire(this GenerateStoryboard command) =>
        WireMessage.Command(command, command.CommandId, command.ProjectId);

    public static WireMessage ToWire(this RetryGeneration command) =>
        WireMessage.Command(command, command.CommandId, command.ProjectId);

    public static WireMessage ToWire(this CancelGeneration command) =>
        WireMessage.Command(command, command.CommandId, command.ProjectId);

    /// <summary>Of a single request whose sender named none: the same command is the same picture.</summary>
    public static Guid ImageOf(Guid project, Guid command) => new CommandKey(project, command).Derive("image");

    /// <summary>The request for one picture of a storyboard, as <see cref="GenerateStoryboard"/> fixes it.</summary>
    public static Guid RequestOf(Guid storyboard, string scene, int slot) =>
        NameBasedGuid.Create(storyboard, $"{scene}/{slot}");

    /// <inheritdoc cref="RequestOf"/>
    public static Guid ImageOf(Guid project, Guid storyboard, string scene, int slot) =>
        NameBasedGuid.Create(project, $"image {storyboard} {scene}/{slot}");
}
