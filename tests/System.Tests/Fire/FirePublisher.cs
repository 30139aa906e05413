using Pipeline.Contracts.Saving;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;

namespace Pipeline.SystemTests.Fire;

/// <summary>
/// Publishes commands in order, and sends what was not confirmed again. It is one publisher, so the order of sending
/// is known.
/// </summary>
internal sealed class FirePublisher(ConfirmedPublisher publisher, Action<string> say) : IAsyncDisposable
{
    private const int Chunk = 200;

    private readonly List<SaveImage> _sent = [];
    private readonly Dictionary<Guid, DateTime> _queued = [];

    /// <summary>What was sent and confirmed, in order.</summary>
    public IReadOnlyList<SaveImage> Sent => _sent;

    /// <summary>When the broker had confirmed each command, to the end of its chunk.</summary>
    public IReadOnlyDictionary<Guid, DateTime> Queued => _queued;

    /// <summary>Returns when all are confirmed. Call it again only after that.</summary>
    public async Task PublishAsync(ArraySegment<SaveImage> commands)
    {
        foreach (var chunk in commands.Chunk(Chunk))
        {
            for (var isConfirmed = false; !isConfirmed; )
            {
                try
                {
                    await publisher.PublishAllAsync(chunk.Select(x => x.ToWire()), CancellationToken.None);
                    isConfirmed = true;
                }
                catch (PublishFailedException e)
                {
                    say($"publishing again: {e.Message}");
                }
            }

            _sent.AddRange(chunk);
            foreach (var command in chunk)
                _queued[command.CommandId] = DateTimeOffset.UtcNow.UtcDateTime;
        }
    }

    public ValueTask DisposeAsync() => publisher.DisposeAsync();
}
