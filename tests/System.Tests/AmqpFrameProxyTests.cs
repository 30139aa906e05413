using System.Text;
using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>The proxy sees what it is asked about: a test that finds no <c>basic.cancel</c> is worth no more than this.</summary>
public sealed class AmqpFrameProxyTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Every_method_of_a_client_is_seen_in_order_under_the_connections_name()
    {
        await using var proxy = new AmqpFrameProxy(new Uri(Stack.Required("ConnectionStrings__RabbitMq")));
        var factory = new ConnectionFactory { Uri = proxy.Address, ClientProvidedName = "a name" };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        var queue = $"frames-{Guid.NewGuid():N}";
        await channel.QueueDeclareAsync(queue, durable: false, exclusive: true, autoDelete: true);
        await channel.ExchangeDeclareAsync(queue, ExchangeType.Fanout, durable: false, autoDelete: true);
        await channel.QueueBindAsync(queue, queue, "");
        var body = Encoding.UTF8.GetBytes(new string('\u00ce', 200_000)); // More than a frame.
        for (var i = 0; i < 5; i++)
            await channel.BasicPublishAsync(queue, "", body);

        var consumer = new TaggingConsumer(channel, 5);
        var tag = await channel.BasicConsumeAsync(queue, autoAck: false, consumer);
        await consumer.AllDelivered.WaitAsync(Limit);
        await channel.BasicAckAsync(2, multiple: true);
        await channel.BasicAckAsync(3, multiple: false);
        await channel.BasicNackAsync(4, multiple: false, requeue: false);
        await channel.BasicRejectAsync(5, requeue: false);
        await channel.BasicCancelAsync(tag);
        await channel.CloseAsync();
        await connection.CloseAsync();

        var seen = proxy.Connections.ShouldHaveSingleItem();
        seen.Name.ShouldBe("a name");
        seen.FromClient.Where(x => x.Id.Class == 60)
            .Select(x => x.Id)
            .ShouldBe([
                AmqpMethods.BasicConsume,
                AmqpMethods.BasicAck,
                AmqpMethods.BasicAck,
                AmqpMethods.BasicNack,
                AmqpMethods.BasicReject,
                AmqpMethods.BasicCancel,
            ]);
        seen.FromClient.Single(x => x.Id == AmqpMethods.BasicConsume).Queue.ShouldBe(queue);
        seen.FromClient.Where(x => x.Id == AmqpMethods.BasicAck)
            .Select(x => (x.DeliveryTag, x.IsMultiple))
            .ShouldBe([(2ul, true), (3ul, false)]);
        seen.FromClient.Select(x => x.Id)
            .Intersect([AmqpMethods.ChannelClose, AmqpMethods.ConnectionClose])
            .ShouldBe([AmqpMethods.ChannelClose, AmqpMethods.ConnectionClose]);
        seen.FromClient[^1].Id.ShouldBe(AmqpMethods.ConnectionClose);
        seen.FromBroker[^1].Id.ShouldBe(AmqpMethods.ConnectionCloseOk);
        await seen.Ended.WaitAsync(Limit);
        seen.IsClosedBy(DateTimeOffset.UtcNow.UtcDateTime).ShouldBeTrue();
    }

    [Fact]
    public void Frames_are_read_however_they_are_cut()
    {
        byte[] ack = [1, 0, 7, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 1, 2, 1, 0xCE];
        byte[] heartbeat = [8, 0, 0, 0, 0, 0, 0, 0xCE];
        byte[] content = [3, 0, 7, 0, 0, 0, 3, 0xCE, 1, 0xCE, 0xCE];
        byte[] written = [.. "AMQP\0\0\t\u0001"u8, .. ack, .. heartbeat, .. content, .. ack];
        foreach (var length in new[] { 1, 2, 5, written.Length })
        {
            var seen = new List<AmqpMethod>();
            var reader = new AmqpFrameReader(preamble: 8, seen.Add);
            foreach (var part in written.Chunk(length))
                reader.Read(part);
            seen.Count.ShouldBe(2);
            seen.ShouldAllBe(x => x.Id == AmqpMethods.BasicAck && x.Channel == 7 && x.DeliveryTag == 258);
            seen.ShouldAllBe(x => x.IsMultiple);
        }
    }

    private sealed class TaggingConsumer(IChannel channel, ulong last) : AsyncDefaultBasicConsumer(channel)
    {
        private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task AllDelivered => _all.Task;

        public override Task HandleBasicDeliverAsync(
            string consumerTag,
            ulong deliveryTag,
            bool redelivered,
            string exchange,
            string routingKey,
            IReadOnlyBasicProperties properties,
            ReadOnlyMemory<byte> body,
            CancellationToken cancellationToken = default
        )
        {
            if (deliveryTag == last)
                _all.SetResult();
            return Task.CompletedTask;
        }
    }
}
