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
    private readonly int? _stopAtLine;
    private int _lineCount;
    private Task _stopping = Task.CompletedTask;

    private HostedWorker(string name, IReadOnlyDictionary<string, string> settings, int? stopAtLine)
    {
        _log = new LogTail(name);
        _stopAtLine = stopAtLine;
        _run = Task.Run(() =>
            Verbs.RunAsync(
                _stop.Token,
                builder =>
                {
                    builder.Logging.ClearProviders().AddProvider(new Lines(this));
                    if (stopAtLine is not null)
                        builder.Logging.SetMinimumLevel(LogLevel.Debug);
                    builder.Configuration.AddInMemoryCollection(
                        Programs.AsConfiguration(settings.Append(KeyValuePair.Create("Worker__Name", name)))
                    );
                }
            )
        );
    }

    public string Tail => _log.End;

    /// <summary>Lines logged until now.</summary>
    public int LineCount => Volatile.Read(ref _lineCount);

    public static HostedWorker Start(string name, IReadOnlyDictionary<string, string> settings) =>
        new(name, settings, stopAtLine: null);

    /// <summary>Starts a worker that is told to stop when it logs its n-th line, debug lines included.</summary>
    public static HostedWorker StartAndStopAt(int line, IReadOnlyDictionary<string, string> settings) =>
        new($"stopped at line {line}", settings, line);

    /// <summary>Stops it as SIGTERM does.</summary>
    /// <exception cref="InvalidOperationException">It had failed, which the test has not noticed.</exception>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await EndAsync();
        _stop.Dispose();
    }

    /// <summary>Waits until the worker has ended.</summary>
    /// <exception cref="InvalidOperationException">It had failed.</exception>
    public async Task EndAsync()
    {
        if (await _run is var status and not 0)
            throw new InvalidOperationException($"The worker ended with {status}.\n{Tail}");
        await _stopping;
    }

    private void Add(string line)
    {
        _log.Add(line);
        if (Interlocked.Increment(ref _lineCount) == _stopAtLine)
            _stopping = _stop.CancelAsync();
    }

    private sealed class Lines(HostedWorker worker) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new Category(worker, categoryName);

        public void Dispose() { }
    }

    private sealed class Category(HostedWorker worker, string name) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) =>
            logLevel >= (worker._stopAtLine is null ? LogLevel.Information : LogLevel.Debug);

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => worker.Add($"{DateTimeOffset.UtcNow:O} {logLevel} {name} {formatter(state, exception)} {exception}");
    }
}
