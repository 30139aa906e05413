using Pipeline.Wire;

namespace Pipeline.Publisher.Publishing;

/// <summary>Sends commands until the broker has confirmed them, through a short absence of the broker.</summary>
/// <remarks>
/// A message that was not confirmed is sent again under its own id, which takes effect once however often it arrives.
/// So it is for commands whose order among each other does not matter.
/// </remarks>
internal sealed class CommandSender(Uri broker, string clientName, TimeProvider clock) : IAsyncDisposable
{
    /// <summary>Tries in all; between them 0.2, 0.4, 0.8 and 1.6 seconds.</summary>
    public const int Attempts = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);

    private readonly ConfirmedPublisher _publisher = new(broker, clientName);

    /// <inheritdoc cref="ConfirmedPublisher.SendAsync" path="/exception"/>
    public async Task SendAsync(WireMessage message, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await _publisher.PublishAsync(message, cancellation);
                return;
            }
            catch (PublishFailedException e) when (attempt < Attempts && BrokerFailures.IsTransient(e))
            {
                await Task.Delay(FirstPause * Math.Pow(2, attempt - 1), clock, cancellation);
            }
        }
    }

    public ValueTask DisposeAsync() => _publisher.DisposeAsync();
}
