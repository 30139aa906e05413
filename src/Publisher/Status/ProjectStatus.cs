namespace Pipeline.Publisher.Status;

/// <summary>A project as the verb <c>status</c> shows it.</summary>
/// <param name="Project">Its id.</param>
/// <param name="Version">Rises by one with each applied write.</param>
/// <param name="UpdatedAt">Of that version.</param>
/// <param name="Scenes">In the order of their index.</param>
/// <param name="Missing">Ids of scenes without a picture.</param>
/// <param name="Images">Pictures that are shown.</param>
/// <param name="Waiting">Pictures that are kept out of sight.</param>
/// <param name="WaitingImages">The first of those.</param>
/// <param name="Receipts">Commands by outcome.</param>
internal sealed record ProjectStatus(
    Guid Project,
    long Version,
    DateTimeOffset UpdatedAt,
    IReadOnlyList<SceneStatus> Scenes,
    IReadOnlyList<string> Missing,
    long Images,
    long Waiting,
    IReadOnlyList<ImageRow> WaitingImages,
    IReadOnlyDictionary<string, long> Receipts
)
{
    public bool IsComplete => Scenes.Count > 0 && Missing.Count == 0 && Waiting == 0;

    /// <returns>Null where there is no such project.</returns>
    public static async Task<ProjectStatus?> ReadAsync(
        Guid project,
        StatusDatabase database,
        int waitingLimit,
        CancellationToken cancellation
    )
    {
        var projects = new ProjectReads(database);
        if (
            await projects.FindAsync(project, cancellation) is not { } row
            || await projects.DocumentAsync(project, cancellation) is not { } document
        )
            return null;

        var storyboard = document.Read();
        return new ProjectStatus(
            project,
            document.Version,
            row.UpdatedAt,
            [.. storyboard.Scenes.Select(x => new SceneStatus(x.Id, x.Index, x.ImageUrls.Count))],
            storyboard.Missing,
            row.Images,
            row.Waiting,
            await projects.ImagesAsync(project, "waiting", new Page(waitingLimit), cancellation),
            await new ReceiptReads(database).CountsAsync(project, cancellation)
        );
    }
}

/// <summary>A scene and how many pictures it shows.</summary>
internal sealed record SceneStatus(string Id, int Index, int Images);
