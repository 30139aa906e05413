using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Messaging;

/// <summary>
/// Finds bindings that bring events where commands are taken, removes them and says so. Each process looks; whoever
/// comes first has removed it. Off where <c>Messaging__ManagementUrl</c> is not set.
/// </summary>
internal sealed partial class BindingSweeper : Sweeper
{
    // With the time that the API may take to answer, well within a minute.
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(20);

    private readonly ManagementApi? _management;
    private readonly BindingMetrics _metrics;
    private readonly ILogger<BindingSweeper> _logger;

    public BindingSweeper(
        MessagingOptions options,
        BindingMetrics metrics,
        TimeProvider clock,
        ILogger<BindingSweeper> logger
    )
        : base(Every, clock, logger)
    {
        _metrics = metrics;
        _logger = logger;
        if (options.ManagementUrl is { } url)
            _management = new ManagementApi(url, options.Broker);
        else
            Unchecked();
    }

    public override void Dispose()
    {
        _management?.Dispose();
        base.Dispose();
    }

    protected override async Task SweepAsync(CancellationToken stopping)
    {
        if (_management is null)
            return;
        try
        {
            await SweepAsync(_management, stopping);
        }
        catch (HttpRequestException e)
        {
            // Not the next turn's alone: a binding of a certain form makes RabbitMQ 3.10 fail to list any.
            Unreadable(e.Message);
        }
    }

    private async Task SweepAsync(ManagementApi management, CancellationToken stopping)
    {
        foreach (var binding in BrokerBinding.FromEvents(await management.BindingsAsync(stopping)))
        {
            if (!await management.UnbindAsync(binding, stopping))
                continue;
            _metrics.Removed(binding);
            Removed(binding.Source, binding.Destination, binding.RoutingKey);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The binding {Source} → {Destination} with key '{Key}' brought events where commands are taken. It is removed"
    )]
    private partial void Removed(string source, string destination, string key);

    [LoggerMessage(
        Level = LogLevel.Error,
        Message = "The broker's bindings cannot be looked at, or one cannot be removed: {Error}"
    )]
    private partial void Unreadable(string error);

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Bindings of foreign services are not checked: Messaging__ManagementUrl is not set"
    )]
    private partial void Unchecked();
}
