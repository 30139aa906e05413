using MassTransit;
using MassTransit.RabbitMqTransport;

namespace Pipeline.Workers.Messaging;

/// <summary>A consumer of a work queue that can be looked at and started anew.</summary>
internal interface IWatchedEndpoint
{
    string Queue { get; }

    /// <summary>True while there is a consumer whose channel and connection are open, as this process sees it.</summary>
    bool IsConsuming { get; }

    /// <summary>True while it has a channel and no consumer yet: it is about to consume, and is best left alone.</summary>
    bool IsConnecting { get; }

    /// <summary>Stops what is left of the consumer and starts it anew; it consumes some time after this ends.</summary>
    /// <exception cref="OperationCanceledException">It could not be stopped in time, and stays as it is.</exception>
    Task RestartAsync(CancellationToken cancellation);
}

/// <summary>The MassTransit endpoint of a work queue.</summary>
/// <remarks>
/// MassTransit's events are not enough. RabbitMQ.Client tells the channels of a connection one after the other that the
/// connection is gone, and waits for the consumers of each (7.2.2: AsyncEventingWrapper.cs, Channel.cs). A consumer
/// that does not end keeps the news from all channels behind it: their endpoints look alive and consume nothing. The
/// connection's property IsOpen is false from the first moment, so it is read, too.
/// MassTransit (8.5.12, ReceiveTransport.cs) reconnects by itself after a cancellation and after most errors, with
/// pauses that grow with each loss to 37 s, but ends the endpoint for good after an error that it does not know, such
/// as a refused consumer. An endpoint that is started anew begins without a pause.
/// </remarks>
internal sealed class EndpointWatch(string queue) : IWatchedEndpoint, IReceiveEndpointObserver, IFilter<ChannelContext>
{
    private volatile IReceiveEndpoint? _endpoint;
    private volatile ChannelContext? _channel;
    private volatile bool _isReady;

    public string Queue => queue;

    public bool IsConsuming => _isReady && IsOpen;

    public bool IsConnecting => !_isReady && IsOpen;

    private bool IsOpen => _channel is { Channel.IsOpen: true, ConnectionContext.Connection.IsOpen: true };

    public async Task RestartAsync(CancellationToken cancellation)
    {
        if (_endpoint is not { } endpoint)
            return; // It has never been started, which is up to whoever starts the bus.
        // MassTransit passes the token on to most of its waits, and not to all.
        await endpoint.Stop(cancellation).WaitAsync(cancellation);
        cancellation.ThrowIfCancellationRequested();
        endpoint.Start(CancellationToken.None);
    }

    /// <summary>Sees each channel before its consumer is made.</summary>
    public Task Send(ChannelContext context, IPipe<ChannelContext> next)
    {
        _channel = context;
        return next.Send(context);
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("consumer-guard");

    public Task Ready(ReceiveEndpointReady ready)
    {
        _endpoint = ready.ReceiveEndpoint;
        _isReady = true;
        return Task.CompletedTask;
    }

    public Task Completed(ReceiveEndpointCompleted completed) => Gone(completed.ReceiveEndpoint);

    public Task Faulted(ReceiveEndpointFaulted faulted) => Gone(faulted.ReceiveEndpoint);

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    private Task Gone(IReceiveEndpoint endpoint)
    {
        _endpoint = endpoint;
        _isReady = false;
        return Task.CompletedTask;
    }
}
