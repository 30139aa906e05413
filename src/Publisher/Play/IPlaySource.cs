namespace Pipeline.Publisher.Play;

/// <summary>Where a play's pictures come from, once its scenes are sent.</summary>
internal interface IPlaySource
{
    /// <summary>Asks for every picture; ends when the broker has confirmed the last command.</summary>
    Task RunAsync(CancellationToken cancellation);

    /// <summary>
    /// True when every command has ended: whatever is not shown by then does not come any more, except what waits for
    /// a scene or an object.
    /// </summary>
    /// <param name="isComplete">Every picture is shown already.</param>
    /// <param name="cancellation">Ends the queries.</param>
    Task<bool> IsSettledAsync(bool isComplete, CancellationToken cancellation);

    /// <summary>How far the asking is, for people.</summary>
    string Progress { get; }
}
