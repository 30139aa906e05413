using System.Threading.Channels;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Storage;
using Pipeline.Wire;

namespace Pipeline.Publisher.Importing;

/// <summary>Hands pictures in with several publishers at once, each with a connection of its own.</summary>
/// <param name="broker">The broker.</param>
/// <param name="store">Null where there are only URLs to hand in.</param>
/// <param name="publishers">1 to <see cref="PublisherLimit"/>.</param>
/// <param name="clock">Paces the repeats after a failure.</param>
internal sealed class ImportRunner(Uri broker, S3Store? store, int publishers, TimeProvider clock)
{
    /// <summary>Sixteen is what the pipeline is measured with; more would wait for the object store.</summary>
    public const int PublisherDefault = 16;

    public const int PublisherLimit = 64;

    /// <summary>Ends when each picture is uploaded and its command confirmed; the first failure ends the rest.</summary>
    /// <param name="project">The project.</param>
    /// <param name="pictures">In the order in which they are begun.</param>
    /// <param name="confirmed">Called after each confirm, by one publisher at a time.</param>
    /// <param name="cancellation">Leaves some pictures handed in; running the same again completes them.</param>
    public async Task RunAsync(
        Guid project,
        IReadOnlyList<Picture> pictures,
        Func<Picture, ImportImage, Task> confirmed,
        CancellationToken cancellation
    )
    {
        var queue = Channel.CreateUnbounded<Picture>();
        foreach (var picture in pictures)
            queue.Writer.TryWrite(picture);
        queue.Writer.Complete();

        using var reporting = new SemaphoreSlim(1, 1);
        await Parallel.ForEachAsync(
            Enumerable.Range(1, Math.Min(publishers, pictures.Count)),
            new ParallelOptions { MaxDegreeOfParallelism = publishers, CancellationToken = cancellation },
            async (number, stopping) =>
            {
                await using var sender = new CommandSender(broker, $"publisher import {number}", clock);
                await foreach (var picture in queue.Reader.ReadAllAsync(stopping))
                {
                    var command = await HandInAsync(project, picture, sender, stopping);
                    await reporting.WaitAsync(stopping);
                    try
                    {
                        await confirmed(picture, command);
                    }
                    finally
                    {
                        reporting.Release();
                    }
                }
            }
        );
    }

    private async Task<ImportImage> HandInAsync(
        Guid project,
        Picture picture,
        CommandSender sender,
        CancellationToken cancellation
    )
    {
        var command = picture.Command(project, picture.IsUrl ? null : await picture.HashAsync(cancellation));
        if (command.UploadKey is { } key && store is not null)
        {
            await using var file = File.OpenRead(picture.Location);
            await store.UploadAsync(key, file, cancellation);
        }

        await sender.SendAsync(WireMessage.Command(command, command.CommandId, project), cancellation);
        return command;
    }
}
