using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Pipeline.Contracts.Urls;

/// <summary>
/// Command: renew the cached URLs of one picture, of a project's pictures, or of all whose refresh window has opened.
/// Not ordered: URLs are signed off the lane, and stored only if the picture is still what it was.
/// </summary>
/// <remarks>
/// Published to <c>refresh-urls</c>, a queue of competing workers. A URL whose refresh window is not open is kept byte
/// for byte unless <paramref name="Force"/> says otherwise. Its receipt is <c>applied</c> when a URL was signed,
/// <c>unchanged</c> when all were kept, <c>superseded</c> when the picture has been replaced or deleted,
/// <c>target-missing</c> when it is not shown yet (the sweep signs it when it is), and <c>failed</c> when nothing could
/// be signed: then the old URLs stay, and the sweep tries again by itself.
/// </remarks>
/// <param name="CommandId">Chosen by the sender; not all zeros.</param>
/// <param name="ProjectId">All pictures of this project; with an image, its project, or null. Null with no image: all that are due.</param>
/// <param name="ImageId">This picture alone.</param>
/// <param name="ImageVersion">Only with an image: the version meant, so that a later one supersedes the command; null for any.</param>
/// <param name="Force">True signs anew what is not due as well, such as after a change of keys. Not with all that are due.</param>
public sealed record RefreshUrls(
    Guid CommandId,
    Guid? ProjectId,
    Guid? ImageId,
    [Range(1, int.MaxValue)] int? ImageVersion,
    [property: DefaultValue(false)] bool Force
);

/// <summary>Event: URLs of a picture were signed anew. It does not carry them: <c>status.image_urls</c> has them.</summary>
/// <param name="CommandId">The command that asked; null where the sweep found them due.</param>
/// <param name="ProjectId">The picture's project.</param>
/// <param name="ImageId">The picture.</param>
/// <param name="ImageVersion">The version whose URLs these are.</param>
/// <param name="Variants">The variants with a new URL.</param>
/// <param name="Degraded">Those among them that a later step of their chain had to sign; they are tried again soon.</param>
/// <param name="ExpiresAt">When the first of them ends, UTC.</param>
/// <param name="At">When they were stored, UTC.</param>
public sealed record UrlsRefreshed(
    Guid? CommandId,
    Guid ProjectId,
    Guid ImageId,
    int ImageVersion,
    IReadOnlyList<string> Variants,
    IReadOnlyList<string> Degraded,
    DateTimeOffset ExpiresAt,
    DateTimeOffset At
);

/// <summary>Event: a picture has a variant that no step of its chain could sign. Its old URL stays for as long as it lives.</summary>
/// <inheritdoc cref="UrlsRefreshed" path="/param"/>
/// <param name="Variants">The variants that failed.</param>
/// <param name="Reason">Each step with what went wrong, for people.</param>
/// <param name="Failures">How often it has failed since the last success, this one included.</param>
/// <param name="RetryAt">When the sweep tries again, UTC.</param>
public sealed record UrlsRefreshFailed(
    Guid? CommandId,
    Guid ProjectId,
    Guid ImageId,
    int ImageVersion,
    IReadOnlyList<string> Variants,
    string Reason,
    int Failures,
    DateTimeOffset RetryAt,
    DateTimeOffset At
);
