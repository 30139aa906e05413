namespace Pipeline.SystemTests.Harness;

/// <summary>A pipeline whose workers reach the broker through a proxy that reads every frame.</summary>
public abstract class ProxiedStack : Stack
{
    private AmqpFrameProxy? _proxy;

    internal AmqpFrameProxy Proxy => _proxy ?? throw new InvalidOperationException("Not initialised.");

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        if (_proxy is not null)
            await _proxy.DisposeAsync();
    }

    protected override Task<Uri> WorkersLoginAsync()
    {
        _proxy = new AmqpFrameProxy(Broker);
        return Task.FromResult(Proxy.Address);
    }

    protected Task UntilHeldAsync(string worker, int lanes) =>
        UntilAsync(
            $"{lanes} lanes held by {worker}",
            async () =>
                await ScalarAsync<long>("select count(*) from status.lanes where held and worker = $1", worker) == lanes
        );

    /// <summary>A lane that is left before its link is open has nothing to close, and does not give its lease back.</summary>
    protected Task UntilConsumingAsync(int connections) =>
        UntilAsync(
            $"{connections} connections have begun to consume a lane",
            () => Task.FromResult(Proxy.OfLanes().Length >= connections)
        );
}
