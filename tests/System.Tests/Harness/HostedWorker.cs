using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Pipeline.Workers;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// A worker inside the test process, for a test that does nothing to it: the program's own <c>run</c> with the test's
/// settings. A process of its own costs two seconds of processor time, most of it to load and compile what the test
/// process has compiled already.
/// </summary>
internal sealed class HostedWorker : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly LogTail _log;
    private readonly Task<int> _run;

    private HostedWorker(string name, IReadOnlyDictionary<string, string> settings)
    {
        _log = new LogTail(name);
        _run = Task.Run(() =>
            Verbs.RunAsync(
                _stop.Token,
                builder =>
                {
                    builder.Logging.ClearProviders().AddProvider(new Lines(_log));
                    builder.Configuration.AddInMemoryCollection(
                        Programs.AsConfiguration(settings.Append(KeyValuePair.Create("Worker__Name", name)))
                    );
                }
            )
        );
    }

    public string Tail => _log.End;

    public static HostedWorker Start(string name, IReadOnlyDictionary<string, string> settings) => new(name, settings);

    /// <summary>Stops it as SIGTERM does.</summary>
    /// <exception cref="InvalidOperationException">It had failed, which the test has not noticed.</exception>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            if (await _run is var status and not 0)
                throw new InvalidOperationException($"The worker ended with {status}.\n{Tail}");
        }
        catch (OperationCanceledException)
        {
            // The test was over before the worker had started.
        }

        _stop.Dispose();
    }

    private sealed class Lines(LogTail log) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new Category(log, categoryName);

        public void Dispose() { }
    }

    private sealed class Category(LogTail log, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => log.Add($"{DateTimeOffset.UtcNow:O} {logLevel} {name} {formatter(state, exception)} {exception}");
    }
}
