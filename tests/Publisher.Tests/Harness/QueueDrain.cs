using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>
/// Takes everything out of a queue, in its order. By a consumer, since <c>basic.get</c> costs a round trip a message.
/// </summary>
internal static class QueueDrain
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static async Task<List<BasicGetResult>> DrainAsync(IConnection connection, string queue)
    {
        await using var channel = await connection.CreateChannelAsync();
        var count = await channel.MessageCountAsync(queue);
        var messages = new List<BasicGetResult>();
        if (count == 0)
            return messages;

        var isAllThere = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, got) =>
        {
            if (messages.Count < count) // The body's memory is the client's again afterwards.
                messages.Add(
                    new BasicGetResult(
                        got.DeliveryTag,
                        got.Redelivered,
                        got.Exchange,
                        got.RoutingKey,
                        count - (uint)messages.Count - 1,
                        got.BasicProperties,
                        got.Body.ToArray()
                    )
                );
            if (messages.Count == count)
                isAllThere.TrySetResult();
            return Task.CompletedTask;
        };
        // Without acknowledgements: a quorum queue delivers no more than 2,000 unanswered messages.
        await channel.BasicConsumeAsync(queue, autoAck: true, consumer);
        await isAllThere.Task.WaitAsync(Limit);
        return messages;
    }
}

/// <summary>Messages written one behind the other, which the broker confirms together at the end.</summary>
internal sealed class ConfirmedRun : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly IChannel _channel;
    private readonly HashSet<ulong> _unconfirmed = [];
    private readonly TaskCompletionSource _areAllConfirmed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isWritten;

    private ConfirmedRun(IChannel channel)
    {
        _channel = channel;
        channel.BasicAcksAsync += (_, ack) =>
        {
            Confirm(ack.DeliveryTag, ack.Multiple);
            return Task.CompletedTask;
        };
        channel.BasicNacksAsync += (_, nack) =>
        {
            _areAllConfirmed.TrySetException(new InvalidOperationException($"Refused: message {nack.DeliveryTag}."));
            return Task.CompletedTask;
        };
        channel.BasicReturnAsync += (_, returned) =>
        {
            _areAllConfirmed.TrySetException(new InvalidOperationException($"No queue behind {returned.Exchange}."));
            return Task.CompletedTask;
        };
    }

    public static async Task<ConfirmedRun> OpenAsync(IConnection connection) =>
        new(
            await connection.CreateChannelAsync(
                new CreateChannelOptions(
                    publisherConfirmationsEnabled: true,
                    publisherConfirmationTrackingEnabled: false // It would wait for each.
                )
            )
        );

    public async Task PublishAsync(string exchange, string routingKey, BasicProperties properties, string body)
    {
        var number = await _channel.GetNextPublishSequenceNumberAsync();
        lock (_unconfirmed)
            _unconfirmed.Add(number);
        var bytes = System.Text.Encoding.UTF8.GetBytes(body);
        await _channel.BasicPublishAsync(exchange, routingKey, mandatory: true, properties, bytes);
    }

    public Task ConfirmedAsync()
    {
        lock (_unconfirmed)
        {
            _isWritten = true;
            if (_unconfirmed.Count == 0)
                _areAllConfirmed.TrySetResult();
        }

        return _areAllConfirmed.Task.WaitAsync(Limit);
    }

    public ValueTask DisposeAsync() => _channel.DisposeAsync();

    private void Confirm(ulong number, bool isMultiple)
    {
        lock (_unconfirmed)
        {
            if (isMultiple)
                _unconfirmed.RemoveWhere(x => x <= number);
            else
                _unconfirmed.Remove(number);
            if (_isWritten && _unconfirmed.Count == 0)
                _areAllConfirmed.TrySetResult();
        }
    }
}
