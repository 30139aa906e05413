using System.Text.RegularExpressions;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>The table of docs/operations.md, "Users of RabbitMQ", is what the real broker does, cell by cell.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed partial class BrokerTableTests(Stack stack) : IClassFixture<Stack>
{
    private const string Own = "client-of-the-table";

    // Where nothing is published for a replay.
    private static readonly string[] NeverReplayed = ["webhook-events", "dead-letter-copies"];

    private delegate Task Act(IChannel channel, string name);

    /// <summary>A row of the table: what is tried, on each of these.</summary>
    private sealed record Try(string Name, IReadOnlyList<string> On, Act Act);

    [Theory]
    [InlineData("workers", 0)]
    [InlineData("publisher", 1)]
    [InlineData("client", 2)]
    public async Task Every_cell_is_so(string role, int column)
    {
        var tries = await TriesAsync(listener: role == "client" ? Own : "generation");
        var table = Row()
            .Matches(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/operations.md")))
            .ToDictionary(
                x => x.Groups["name"].Value,
                x => x.Groups["may"].Captures[column].Value == "yes",
                StringComparer.Ordinal
            );
        table.Keys.ShouldBe(tries.Select(x => x.Name), ignoreOrder: true);
        await using var connection = await new ConnectionFactory
        {
            Uri = await stack.CreateUserAsync(role),
        }.CreateConnectionAsync();

        var wrong = new List<string>();
        foreach (var (one, name) in tries.SelectMany(x => x.On.Select(y => (x, y))))
        {
            if (await IsAllowedAsync(connection, one.Act, name) != table[one.Name])
                wrong.Add($"{one.Name}: {name} {(table[one.Name] ? "is refused" : "is allowed")}");
        }

        wrong.ShouldBeEmpty();
    }

    /// <param name="listener">A queue to which the user may write: what it is bound to is another right.</param>
    private async Task<Try[]> TriesAsync(string listener)
    {
        await MakeOwnAsync();
        var exchanges = await stack.NamesAsync("exchanges");
        var queues = await stack.NamesAsync("queues");
        var commands = PublicCommands.Names;
        var parked = exchanges.Where(x => x.EndsWith("_parked", StringComparison.Ordinal)).ToArray();
        var dead = exchanges
            .Where(x => x.Contains('_', StringComparison.Ordinal))
            .Except(parked, StringComparer.Ordinal);
        var events = Named(x => x.Kind == MessageKind.Event);
        var others = Named(x => x.Kind != MessageKind.Event).Except(commands, StringComparer.Ordinal).ToArray();
        string[] named = [.. parked, .. dead, .. commands, .. others, .. events, .. NeverReplayed];
        var replays = exchanges.Except(named, StringComparer.Ordinal);
        return
        [
            new("publish a command that is for everybody", commands, PublishAsync),
            new("publish an operators' command or an internal message", others, PublishAsync),
            new("publish an event", events, PublishAsync),
            new("publish straight into a queue, as a replay is", [.. replays], PublishAsync),
            new("publish into `webhook-events` or `dead-letter-copies`", NeverReplayed, PublishAsync),
            new("park a dead letter", parked, PublishAsync),
            new("publish into `…_error` or `…_skipped`", [.. dead], PublishAsync),
            new("publish through the default exchange", [""], PublishAsync),
            new("read a queue with work", [.. queues.Except([.. dead, .. parked], StringComparer.Ordinal)], GetAsync),
            new("read `…_error`, `…_skipped` or `…_parked`", [.. dead, .. parked], GetAsync),
            new("listen to an event", events, Listen),
            new("listen to commands or internal messages", [.. others, .. commands], Listen),
            new("bind a queue to `…_error` or `…_skipped`", [.. dead], Listen),
            new("declare and delete a queue of the pipeline", ["a-queue-of-the-table"], DeclareAsync),
            new("declare and delete a queue `dead-letter-desk.…`", ["dead-letter-desk.table"], DeclareAsync),
            new("declare and delete a queue `client-…`", ["client-another"], DeclareAsync),
            new("read a queue `client-…`", [Own], GetAsync),
        ];

        Task Listen(IChannel channel, string exchange) => ListenAsync(channel, listener, exchange);
    }

    private static string[] Named(Func<MessageContract, bool> which) =>
        [.. MessageCatalog.All.Where(which).Select(x => x.Name)];

    private async Task MakeOwnAsync()
    {
        var administrator = new ConnectionFactory { Uri = stack.Broker };
        await using var connection = await administrator.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync(Own, durable: false, exclusive: false, autoDelete: false);
    }

    private static async Task<bool> IsAllowedAsync(IConnection connection, Act act, string name)
    {
        // Each refusal closes the channel. With confirms, also that of a publish has an answer.
        var confirms = new CreateChannelOptions(
            publisherConfirmationsEnabled: true,
            publisherConfirmationTrackingEnabled: true
        );
        await using var channel = await connection.CreateChannelAsync(confirms);
        try
        {
            await act(channel, name);
            return true;
        }
        catch (OperationInterruptedException e)
        {
            return e.ShutdownReason?.ReplyCode != Constants.AccessRefused;
        }
    }

    private static Task PublishAsync(IChannel channel, string exchange) =>
        channel
            .BasicPublishAsync(
                exchange,
                routingKey: exchange.Length == 0 ? Own : "a-key",
                mandatory: false,
                new BasicProperties(),
                "{"u8.ToArray()
            )
            .AsTask();

    private static Task<BasicGetResult?> GetAsync(IChannel channel, string queue) =>
        channel.BasicGetAsync(queue, autoAck: false);

    private static async Task ListenAsync(IChannel channel, string queue, string exchange)
    {
        await channel.QueueBindAsync(queue, exchange, "#");
        await channel.QueueUnbindAsync(queue, exchange, "#");
    }

    private static async Task DeclareAsync(IChannel channel, string queue)
    {
        await channel.QueueDeclareAsync(queue, durable: false, exclusive: false, autoDelete: false);
        await channel.QueueDeleteAsync(queue);
    }

    [GeneratedRegex(
        @"^\| (?<name>[^|]+) \|( (?<may>yes|no) \|){3}$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex Row();
}
