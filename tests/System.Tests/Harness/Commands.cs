using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Wire;

namespace Pipeline.SystemTests.Harness;

/// <summary>Commands as an application would send them.</summary>
internal static class Commands
{
    private const int Edge = 512;

    public static DefineScenes Storyboard(Guid projectId, int scenes) =>
        new(
            Guid.NewGuid(),
            projectId,
            [
                .. Enumerable
                    .Range(1, scenes)
                    .Select(x => new SceneDefinition($"scene-{x}", x, $"The prompt of scene {x}.")),
            ]
        );

    public static SaveImage Save(Guid projectId, int scene, int slot, Guid? imageId = null, string? sceneId = null)
    {
        var image = imageId ?? Guid.NewGuid();
        var sha = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(image.ToByteArray()));
        return new SaveImage(
            Guid.NewGuid(),
            projectId,
            image,
            sceneId ?? $"scene-{scene}",
            SceneIndex: null,
            slot,
            $"projects/{projectId:D}/{image:D}/{sha}.png",
            sha,
            "image/png",
            ByteLength: 1000,
            Edge,
            Edge
        );
    }

    /// <summary>A request for a small picture, in a project of its own.</summary>
    public static GenerateImage Generate(string model, string prompt) =>
        new(
            Guid.NewGuid(),
            Guid.NewGuid(),
            Guid.NewGuid(),
            "scene-1",
            SceneIndex: null,
            Slot: 0,
            prompt,
            model,
            Width: 64,
            Height: 64,
            Seed: null,
            Options: null,
            Deadline: null,
            Force: false
        );

    public static WireMessage ToWire(this GenerateImage command) =>
        WireMessage.Command(command, command.CommandId, command.ProjectId);

    public static WireMessage ToWire(this SaveImage command) => WireMessage.Command(command);

    public static WireMessage ToWire(this DefineScenes command) => WireMessage.Command(command);
}
