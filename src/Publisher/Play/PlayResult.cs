using System.Text.Json.Serialization;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Play;

/// <summary>How a storyboard stands, from the status views alone.</summary>
/// <param name="Scenes">Scenes of the project.</param>
/// <param name="Images">Pictures that are shown.</param>
/// <param name="Missing">Ids of the scenes that lack a picture.</param>
/// <param name="Receipts">The project's commands by outcome.</param>
/// <param name="Duplicates">Shown pictures beyond the first of each slot.</param>
/// <param name="Seconds">From the first publish to the moment all was seen to be there.</param>
/// <param name="Project">The project.</param>
/// <param name="Rows">Scenes as front ends see them, by id.</param>
internal sealed record PlayResult(
    int Scenes,
    long Images,
    IReadOnlyList<string> Missing,
    IReadOnlyDictionary<string, long> Receipts,
    long Duplicates,
    double Seconds,
    Guid Project,
    [property: JsonIgnore] IReadOnlyDictionary<string, SceneDocument> Rows
)
{
    [JsonIgnore]
    public bool IsComplete => Scenes > 0 && Missing.Count == 0 && Duplicates == 0;

    public static async Task<PlayResult> ReadAsync(
        PlayPlan plan,
        StatusDatabase database,
        double seconds,
        CancellationToken cancellation
    )
    {
        var projects = new ProjectReads(database);
        var document = await projects.DocumentAsync(plan.Project, cancellation);
        IReadOnlyList<SceneDocument> scenes = document is null ? [] : document.Read().Scenes;
        var rows = scenes.ToDictionary(x => x.Id, StringComparer.Ordinal);
        return new PlayResult(
            scenes.Count,
            (await projects.FindAsync(plan.Project, cancellation))?.Images ?? 0,
            [.. plan.Scenes.Where(x => Shown(rows, x.Id) < x.Wanted).Select(x => x.Id)],
            await new ReceiptReads(database).CountsAsync(plan.Project, cancellation),
            await projects.DuplicatesAsync(plan.Project, cancellation),
            Math.Round(seconds, 1),
            plan.Project,
            rows
        );
    }

    public static int Shown(IReadOnlyDictionary<string, SceneDocument> rows, string scene) =>
        rows.TryGetValue(scene, out var row) ? row.ImageUrls.Count : 0;
}
