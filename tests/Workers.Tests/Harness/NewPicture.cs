using System.Security.Cryptography;
using System.Text;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Reconciling;
using Pipeline.Contracts.Saving;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>A picture of a project of its own, and commands about it; bytes are named by a letter.</summary>
internal sealed record NewPicture(Guid ProjectId, Guid ImageId)
{
    public static NewPicture Any() => new(Guid.NewGuid(), Guid.NewGuid());

    public string Key(string bytes, int copy = 1) =>
        ObjectKeys.ForImage(ProjectId, ImageId, Sha256(bytes), "png", copy);

    public SaveImage Save(string bytes, string? scene = null, int copy = 1) =>
        new(
            Guid.NewGuid(),
            ProjectId,
            ImageId,
            scene,
            SceneIndex: null,
            Slot: 0,
            Key(bytes, copy),
            Sha256(bytes),
            "image/png",
            ByteLength: 1000,
            Width: 8,
            Height: 8
        );

    public ReplaceImage Replace(string bytes, int copy = 1) =>
        new(
            Guid.NewGuid(),
            ProjectId,
            ImageId,
            Key(bytes, copy),
            Sha256(bytes),
            "image/png",
            ByteLength: 1000,
            Width: 8,
            Height: 8
        );

    public ConfirmObject Confirm(string bytes) => new(Guid.NewGuid(), ProjectId, ImageId, Key(bytes));

    public RetractObject Retract(string bytes, bool purge = false) =>
        new(Guid.NewGuid(), ProjectId, ImageId, Key(bytes), purge);

    public DeleteImage Delete() => new(Guid.NewGuid(), ProjectId, ImageId);

    public RestoreImage Restore() => new(Guid.NewGuid(), ProjectId, ImageId);

    public DeleteProject DeleteProject() => new(Guid.NewGuid(), ProjectId);

    public RestoreProject RestoreProject() => new(Guid.NewGuid(), ProjectId);

    private static string Sha256(string bytes) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(bytes)));
}
