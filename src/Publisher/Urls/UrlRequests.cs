using System.Collections.Concurrent;
using Pipeline.Contracts.Urls;
using Pipeline.Publisher.Publishing;
using Pipeline.Wire;

namespace Pipeline.Publisher.Urls;

/// <summary>Asks the workers to sign pictures that readers have met, once for all readers.</summary>
/// <remarks>
/// The command's id is derived from the picture, its version and what was signed before, so that readers of any
/// number of publishers send the same command, which takes effect once. Within this process it is also sent only
/// once.
/// </remarks>
internal sealed partial class UrlRequests(CommandSender sender, TimeProvider clock, ILogger<UrlRequests> logger)
{
    // A picture that stays due is asked for again then; the workers know the command by its receipt.
    private static readonly TimeSpan RememberedFor = TimeSpan.FromSeconds(30);
    private const int RememberedLimit = 10_000;

    private readonly ConcurrentDictionary<Guid, (Task<bool> Sent, DateTimeOffset At)> _sent = new();

    public static RefreshUrls CommandOf(PictureUrls picture)
    {
        var stamp = picture.SignedAt is null
            ? $"never {picture.UpdatedAt:O}"
            : $"{picture.SignedAt:O} {picture.RefreshAfter:O}";
        var id = NameBasedGuid.Create(picture.ImageId, $"refresh-urls {picture.Version} {stamp}");
        return new RefreshUrls(id, picture.ProjectId, picture.ImageId, picture.Version, Force: false);
    }

    /// <summary>Sends the command, unless it has been sent lately.</summary>
    /// <returns>False where the broker has not taken it; the log says why. The reader is answered all the same.</returns>
    public Task<bool> AskAsync(PictureUrls picture)
    {
        var command = CommandOf(picture);
        var now = clock.GetUtcNow();
        if (_sent.Count > RememberedLimit)
            Forget(now);
        var source = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        var entry = _sent.AddOrUpdate(
            command.CommandId,
            _ => (source.Task, now),
            (_, earlier) => now - earlier.At < RememberedFor ? earlier : (source.Task, now)
        );
        // Only whoever's task stands in the dictionary sends.
        if (entry.Sent == source.Task)
            _ = SendAsync(command, source);
        return entry.Sent;
    }

    private async Task SendAsync(RefreshUrls command, TaskCompletionSource<bool> sent)
    {
        try
        {
            // Not the reader's token: others wait for the same command.
            await sender.SendAsync(command.ToWire(), CancellationToken.None);
            sent.SetResult(true);
        }
        catch (Exception e)
        {
            _sent.TryRemove(command.CommandId, out _);
            NotSent(command.ImageId, e.Message);
            sent.SetResult(false);
        }
    }

    private void Forget(DateTimeOffset now)
    {
        foreach (var (id, entry) in _sent)
        {
            if (now - entry.At >= RememberedFor || _sent.Count > 2 * RememberedLimit)
                _sent.TryRemove(id, out _);
        }
    }

    [LoggerMessage(LogLevel.Warning, "URLs of picture {Image} are due, and the workers could not be asked: {Reason}")]
    private partial void NotSent(Guid? image, string reason);
}
