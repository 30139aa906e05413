namespace Pipeline.Workers.Fetching;

/// <summary>What came of asking for a picture's bytes: <see cref="SourceBytes"/> or a <see cref="SourceRefusal"/>.</summary>
internal abstract record SourceResult;

/// <summary>The whole file.</summary>
internal sealed record SourceBytes(ReadOnlyMemory<byte> Content) : SourceResult;

/// <summary>The same request would end the same way.</summary>
/// <param name="Reason">Names the field and the rule.</param>
internal sealed record SourceRefusal(string Reason) : SourceResult;

/// <summary>The source did not deliver, and may do so later. Worth a retry.</summary>
internal sealed class SourceUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
