using Pipeline.Contracts.Generation;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Serving;

/// <summary>A request that the broker has confirmed.</summary>
internal sealed record AcceptedPicture(
    Guid CommandId,
    Guid ProjectId,
    Guid ImageId,
    string? SceneId,
    int Slot,
    string Generation,
    string Receipt
)
{
    public AcceptedPicture(GenerateImage command)
        : this(
            command.CommandId,
            command.ProjectId,
            command.ImageId,
            command.SceneId,
            command.Slot,
            $"/generations/{command.CommandId}?projectId={command.ProjectId}",
            ReceiptPath.Of(command.ProjectId, command.CommandId)
        ) { }
}

/// <summary>What the bodies of both kinds of request share.</summary>
internal abstract record RenderBody
{
    public Guid? CommandId { get; init; }
    public Guid? ProjectId { get; init; }
    public string? Model { get; init; }
    public int? Width { get; init; }
    public int? Height { get; init; }
    public Dictionary<string, string>? Options { get; init; }
    public DateTimeOffset? Deadline { get; init; }
    public bool Force { get; init; }

    /// <param name="known">What holds where the body says nothing; null for the defaults.</param>
    public RenderWish Wish(RenderWish? known) =>
        new(
            Model ?? known?.Model ?? RenderWish.ModelDefault,
            Width ?? known?.Width ?? RenderWish.SizeDefault,
            Height ?? known?.Height ?? RenderWish.SizeDefault,
            Options is { Count: > 0 } ? Options : null,
            Deadline?.ToUniversalTime(),
            Force
        );
}

/// <summary>A request for one picture.</summary>
internal sealed record GenerateBody(
    Guid? ImageId,
    string? SceneId,
    int? SceneIndex,
    int? Slot,
    string? Prompt,
    long? Seed
) : RenderBody;

/// <summary>A request for a storyboard's pictures.</summary>
/// <param name="Missing">Asks again for what the project's last request lacks.</param>
internal sealed record StoryboardBody(List<string?>? SceneIds, int? ImagesPerScene, bool Missing) : RenderBody;
