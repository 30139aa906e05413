using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Uploading;

/// <summary>A file that was handed in, as it is answered.</summary>
internal sealed record UploadAnswer(
    string FileName,
    Guid CommandId,
    Guid ImageId,
    string? SceneId,
    int? SceneIndex,
    int Slot,
    string Sha256,
    string ContentType,
    long ByteLength,
    int Width,
    int Height,
    string Receipt
)
{
    public static UploadAnswer Of(UploadedPicture picture, ImportImage command) =>
        new(
            picture.Name,
            command.CommandId,
            command.ImageId,
            command.SceneId,
            command.SceneIndex,
            command.Slot,
            picture.Checked.File.Sha256,
            picture.Checked.Facts.Format.ContentType,
            picture.Checked.File.Length,
            picture.Checked.Facts.Width,
            picture.Checked.Facts.Height,
            ReceiptPath.Of(command.ProjectId, command.CommandId)
        );
}
