using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Importing;

namespace Pipeline.Publisher.Uploading;

/// <summary>Where an uploaded picture belongs, and under which ids if the sender chose any.</summary>
/// <param name="SceneId">Null for a picture of the project itself, or where <paramref name="SceneIndex"/> names the scene.</param>
/// <param name="SceneIndex">The scene's place.</param>
/// <param name="Slot">Place within the scene.</param>
/// <param name="ImageId">Null: derived from project, place and name.</param>
/// <param name="CommandId">Null: derived from the picture's id and the bytes.</param>
internal sealed record UploadPlace(string? SceneId, int? SceneIndex, int Slot, Guid? ImageId, Guid? CommandId);

/// <summary>A picture that has passed the door and waits to be stored.</summary>
/// <param name="Name">The file's name, which has passed <see cref="FileNames"/>.</param>
/// <param name="Place">Where it belongs.</param>
/// <param name="Checked">Its bytes; disposed with this object.</param>
internal sealed record UploadedPicture(string Name, UploadPlace Place, CheckedFile Checked) : IDisposable
{
    /// <summary>
    /// The command that hands it in, with the ids that <c>import</c> gives the same file at the same place: who sends
    /// the same file again sends the same command.
    /// </summary>
    public ImportImage Command(Guid project)
    {
        var scene = Place.SceneId ?? Place.SceneIndex?.ToString();
        var derived = new Picture(Name, Name, IsUrl: false, scene, Place.Slot).Command(project, Checked.File.Sha256);
        var command = Place.CommandId ?? derived.CommandId;
        return derived with
        {
            CommandId = command,
            ImageId = Place.ImageId ?? derived.ImageId,
            SceneId = Place.SceneId,
            SceneIndex = Place.SceneIndex,
            // The import deletes its upload, so two commands never share one.
            UploadKey = UploadKeys.Of(command),
        };
    }

    public void Dispose() => Checked.File.Dispose();
}
