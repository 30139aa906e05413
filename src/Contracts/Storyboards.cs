using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Storyboards;

/// <summary>
/// Command: set a project's whole storyboard. Scenes that it does not name are removed; their pictures are kept out of
/// sight and placed again when the scene returns.
/// </summary>
/// <inheritdoc cref="ILaneCommand" path="/remarks"/>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">Chosen by the sender; the project is created when it is new.</param>
/// <param name="Scenes">1 to 1,000 scenes in any order; ids and indexes are each unique.</param>
public sealed record DefineScenes(
    Guid CommandId,
    Guid ProjectId,
    [Length(1, Limits.Scenes)] IReadOnlyList<SceneDefinition> Scenes
) : ILaneCommand;

/// <summary>One scene of a storyboard.</summary>
/// <param name="Id">1 to 100 characters, unique in the project, such as <c>scene-1</c>.</param>
/// <param name="Index">1 to 1,000,000: the scene's place. Gaps are allowed; documents list scenes by it.</param>
/// <param name="Prompt">What the pictures of the scene show; up to 32,000 characters.</param>
public sealed record SceneDefinition(
    [
        StringLength(Limits.SceneIdLength, MinimumLength = 1),
        RegularExpression(Patterns.NoControls, ErrorMessage = Patterns.NoControlsRule)
    ]
        string Id,
    [Range(1, Limits.SceneIndexLast)] int Index,
    [StringLength(Limits.PromptLength), RegularExpression(Patterns.NoNul, ErrorMessage = Patterns.NoNulRule)]
        string? Prompt
);

/// <summary>Event: the storyboard stands as the command said.</summary>
/// <param name="CommandId">The command that set it.</param>
/// <param name="ProjectId">The project.</param>
/// <param name="ProjectVersion">The project's version with this change; rises by one with each applied write.</param>
/// <param name="SceneCount">Scenes in the storyboard now.</param>
/// <param name="At">When it was committed, UTC.</param>
public sealed record ScenesDefined(
    Guid CommandId,
    Guid ProjectId,
    long ProjectVersion,
    int SceneCount,
    DateTimeOffset At
);
