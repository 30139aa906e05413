using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Storage;
using Pipeline.Wire;

namespace Pipeline.Publisher.Uploading;

/// <summary>Hands in what has passed the door.</summary>
internal sealed class UploadDesk(S3Store store, CommandSender sender)
{
    /// <summary>Stores every picture under <c>uploads/</c>, then sends their commands.</summary>
    /// <remarks>
    /// A failure leaves some of them stored or sent. Sending the same files again completes them under the same ids;
    /// what nobody comes back for, the workers sweep.
    /// </remarks>
    /// <param name="project">The project.</param>
    /// <param name="pictures">At least one.</param>
    /// <param name="cancellation">As a failure.</param>
    /// <returns>The commands, in the order of the pictures, each confirmed by the broker.</returns>
    /// <inheritdoc cref="S3Store.UploadAsync" path="/exception"/>
    public async Task<IReadOnlyList<ImportImage>> HandInAsync(
        Guid project,
        IReadOnlyList<UploadedPicture> pictures,
        CancellationToken cancellation
    )
    {
        var commands = pictures.Select(x => x.Command(project)).ToList();
        foreach (var (picture, command) in pictures.Zip(commands))
            await store.UploadAsync(command.UploadKey ?? "", picture.Checked.File.Rewind(), cancellation);
        foreach (var command in commands)
            await sender.SendAsync(WireMessage.Command(command, command.CommandId, project), cancellation);
        return commands;
    }
}
