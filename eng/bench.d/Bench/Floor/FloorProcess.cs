using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Npgsql;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace Pipeline.Bench.Floor;

/// <summary>One of the floor's processes: bare RabbitMQ.Client and Npgsql, in batches.</summary>
internal sealed class FloorProcess(NpgsqlDataSource source)
{
    private readonly FloorDocuments _documents = new(source);
    private readonly ConcurrentQueue<(Guid CommandId, DateTime At)> _commits = new();

    /// <summary>Consumes until standard input ends, then writes when each command was committed.</summary>
    /// <param name="part">Which of the processes this is, from 0.</param>
    /// <param name="shape">Queue N belongs to process N modulo their number: a single active consumer does not spread.</param>
    /// <param name="commitsFile">File for the time of each commit.</param>
    /// <param name="cancellation">Ends it without a file.</param>
    public static async Task<int> RunAsync(int part, Shape shape, string commitsFile, CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(BenchSettings.ReadDatabase());
        var process = new FloorProcess(source);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var factory = new ConnectionFactory
        {
            Uri = BenchSettings.ReadBroker(),
            ClientProvidedName = $"bench-floor {part}",
        };
        await using var connection = await factory.CreateConnectionAsync(cancellation);
        var loops = Enumerable
            .Range(0, shape.Lanes)
            .Where(x => x % shape.Processes == part)
            .Select(x => process.ConsumeAsync(connection, FloorTopology.Queue(x), ending.Token))
            .ToList();
        var ended = Console.In.ReadToEndAsync(cancellation);
        await await Task.WhenAny([ended, .. loops]); // A loop ends first only with an error.
        await ending.CancelAsync();
        await File.WriteAllLinesAsync(
            commitsFile,
            process._commits.Select(x => $"{x.CommandId} {x.At.Ticks}"),
            CancellationToken.None
        );
        return 0;
    }

    /// <summary>Reads what <see cref="RunAsync"/> wrote.</summary>
    public static IEnumerable<(Guid CommandId, DateTime At)> ReadCommits(string commitsFile) =>
        File.ReadLines(commitsFile)
            .Select(x => x.Split(' '))
            .Select(x =>
                (Guid.Parse(x[0]), new DateTime(long.Parse(x[1], CultureInfo.InvariantCulture), DateTimeKind.Utc))
            );

    private async Task ConsumeAsync(IConnection connection, string queue, CancellationToken ending)
    {
        await using var channel = await connection.CreateChannelAsync(cancellationToken: ending);
        await channel.BasicQosAsync(0, FloorTopology.Prefetch, global: false, ending);
        var deliveries = Channel.CreateUnbounded<(ulong Tag, SaveImage Command)>();
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, delivery) =>
        {
            var command = JsonSerializer.Deserialize<SaveImage>(delivery.Body.Span, WireJson.Options)!;
            deliveries.Writer.TryWrite((delivery.DeliveryTag, command));
            return Task.CompletedTask;
        };
        channel.ChannelShutdownAsync += (_, reason) =>
        {
            deliveries.Writer.TryComplete(new InvalidOperationException($"{queue}: {reason}"));
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(queue, autoAck: false, consumer, ending);

        var batch = new List<SaveImage>(FloorTopology.BatchLimit);
        while (await deliveries.Reader.WaitToReadAsync(ending))
        {
            batch.Clear();
            var last = 0UL;
            while (batch.Count < FloorTopology.BatchLimit && deliveries.Reader.TryRead(out var delivery))
            {
                batch.Add(delivery.Command);
                last = delivery.Tag;
            }

            await _documents.AppendAsync(batch, ending);
            var now = DateTime.UtcNow;
            await channel.BasicAckAsync(last, multiple: true, ending);
            foreach (var command in batch)
                _commits.Enqueue((command.CommandId, now));
        }
    }
}
