using System.Text.RegularExpressions;
using Pipeline.Wire;
using Shouldly;

namespace Pipeline.SystemTests.Harness;

/// <summary>What the connections of lanes may carry. The proxy has seen them all.</summary>
internal static partial class LaneFrames
{
    /// <summary>The connections on which a lane's queue is consumed, whatever they are called.</summary>
    public static IEnumerable<ProxiedConnection> OfLane(this AmqpFrameProxy proxy, int lane) =>
        proxy.Connections.Where(x => x.Queues().Contains(WireNames.LaneQueue(lane), StringComparer.Ordinal));

    /// <summary>The connections on which any lane's queue is consumed.</summary>
    public static ProxiedConnection[] OfLanes(this AmqpFrameProxy proxy) =>
        [.. proxy.Connections.Where(x => x.Queues().Any(y => LaneQueue().IsMatch(y)))];

    /// <summary>How often each method was sent by the client, for the message of a test that fails.</summary>
    public static string Counts(this ProxiedConnection connection) =>
        $"'{connection.Name}': "
        + string.Join(
            ", ",
            connection
                .FromClient.GroupBy(x => x.Id)
                .OrderBy(x => (x.Key.Class, x.Key.Method))
                .Select(x => $"{x.Key.Class}.{x.Key.Method} × {x.Count()}")
        );

    /// <summary>Each lane has connections of its own, and leaves its queue only by closing them.</summary>
    public static void ShouldBeSoundFor(this AmqpFrameProxy proxy, int lanes)
    {
        for (var lane = 0; lane < lanes; lane++)
            proxy.OfLane(lane).ShouldNotBeEmpty($"nobody consumed lane {lane}");

        foreach (var connection in proxy.OfLanes())
        {
            var counts = connection.Counts();
            foreach (var id in new[] { AmqpMethods.BasicCancel, AmqpMethods.BasicNack, AmqpMethods.BasicReject })
                connection.FromClient.ShouldNotContain(x => x.Id == id, counts);

            foreach (var channel in connection.FromClient.GroupBy(x => x.Channel))
            {
                var acks = channel.Where(x => x.Id == AmqpMethods.BasicAck).ToArray();
                acks.ShouldAllBe(x => x.IsMultiple, counts);
                var tags = acks.Select(x => x.DeliveryTag).ToArray();
                tags.SequenceEqual(tags.Distinct().Order()).ShouldBeTrue(counts);
                channel.Count(x => x.Id == AmqpMethods.BasicConsume).ShouldBeLessThanOrEqualTo(1, counts);
            }

            var queue = connection.Queues().ShouldHaveSingleItem(counts);
            connection.Name.ShouldBe($"pipeline-workers lane {queue[^2..]}");
        }
    }

    /// <summary>Closed, and known to the client to be closed, at that moment.</summary>
    public static bool IsClosedBy(this ProxiedConnection connection, DateTime moment) =>
        IsClose(connection.FromClient[^1]) && connection.FromBroker.Any(x => IsClose(x) && x.At <= moment);

    /// <summary>A side says that it closes the channel or the connection, or answers the other side's close.</summary>
    private static bool IsClose(AmqpMethod method) =>
        method.Id == AmqpMethods.ChannelClose
        || method.Id == AmqpMethods.ChannelCloseOk
        || method.Id == AmqpMethods.ConnectionClose
        || method.Id == AmqpMethods.ConnectionCloseOk;

    /// <summary>When it began to consume.</summary>
    public static DateTime ConsumesSince(this ProxiedConnection connection) =>
        connection.FromClient.First(x => x.Id == AmqpMethods.BasicConsume).At;

    private static string[] Queues(this ProxiedConnection connection) =>
        [.. connection.FromClient.Where(x => x.Id == AmqpMethods.BasicConsume).Select(x => x.Queue)];

    [GeneratedRegex(@"^project-lane-\d+$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex LaneQueue();
}
