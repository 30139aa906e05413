using System.Collections.Concurrent;
using MassTransit;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>Which messages a host's consumers are done with, so that "nothing happened" is asserted after a fact.</summary>
internal sealed class ConsumedMessages : IConsumeObserver
{
    private readonly ConcurrentDictionary<Guid, TaskCompletionSource> _messages = new();

    public Task DoneAsync(Guid messageId) => Of(messageId).Task.WaitAsync(TimeSpan.FromSeconds(60));

    public Task PreConsume<T>(ConsumeContext<T> context)
        where T : class => Task.CompletedTask;

    public Task PostConsume<T>(ConsumeContext<T> context)
        where T : class => Done(context);

    public Task ConsumeFault<T>(ConsumeContext<T> context, Exception exception)
        where T : class => Done(context);

    private Task Done(ConsumeContext context)
    {
        Of(context.MessageId ?? Guid.Empty).TrySetResult();
        return Task.CompletedTask;
    }

    private TaskCompletionSource Of(Guid messageId) =>
        _messages.GetOrAdd(
            messageId,
            _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
        );
}
