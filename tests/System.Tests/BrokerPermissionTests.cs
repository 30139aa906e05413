using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.RegularExpressions;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>What a foreign service's login may do on the real broker, and what is refused to it.</summary>
public sealed partial class BrokerPermissionTests(Stack stack, ITestOutputHelper output) : IClassFixture<Stack>
{
    // Each refusal closes its channel, so each has one of its own.
    private static readonly TimeSpan CloseLimit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Foreign_service_can_read_no_dead_letters_consume_no_lane_and_publish_nothing_internal()
    {
        await using var connection = await ConnectAsync("client");
        var (queues, exchanges) = (await stack.NamesAsync("queues"), await stack.NamesAsync("exchanges"));
        queues.ShouldContain(x => x == "project-lane-00"); // What is not looked at is not refused either.
        queues.ShouldContain(x => x == "project-lane-00_error");
        exchanges.ShouldContain(x => x == "render-image");
        await using (var own = await connection.CreateChannelAsync())
            await own.QueueDeclareAsync("client-own", durable: false, exclusive: false, autoDelete: false);

        foreach (var queue in queues)
        {
            await RefusedAsync(connection, x => x.BasicGetAsync(queue, autoAck: true), "get", queue);
            await RefusedAsync(
                connection,
                x => x.BasicConsumeAsync(queue, autoAck: true, new Silent(x)),
                "consume",
                queue
            );
            await RefusedAsync(connection, x => x.QueuePurgeAsync(queue), "purge", queue);
            await RefusedAsync(connection, x => x.QueueDeleteAsync(queue), "delete", queue);
        }

        var (commands, events) = (PublicCommands(), Events());
        foreach (var exchange in exchanges)
        {
            if (!commands.Contains(exchange, StringComparer.Ordinal))
                await RefusedAsync(connection, x => PublishAsync(x, exchange), "publish", exchange);
            if (!events.Contains(exchange, StringComparer.Ordinal))
                await RefusedAsync(connection, x => x.QueueBindAsync("client-own", exchange, "#"), "bind", exchange);
            await RefusedAsync(connection, x => x.ExchangeDeleteAsync(exchange), "delete", exchange);
            // A queue of its own whose dead letters go there would be a way round.
            if (!commands.Contains(exchange, StringComparer.Ordinal))
                await RefusedAsync(
                    connection,
                    x =>
                        x.QueueDeclareAsync(
                            "client-round",
                            durable: false,
                            exclusive: false,
                            autoDelete: false,
                            new Dictionary<string, object?>(StringComparer.Ordinal)
                            {
                                ["x-dead-letter-exchange"] = exchange,
                            }
                        ),
                    "dead-letter to",
                    exchange
                );
        }

        // The default exchange leads into every queue.
        await RefusedAsync(connection, x => PublishAsync(x, ""), "publish", "the default exchange");
        output.WriteLine($"{queues.Count} queues and {exchanges.Count} exchanges tried");
    }

    [Fact]
    public async Task Foreign_service_can_publish_every_public_command_and_listen_to_every_event()
    {
        await using var connection = await ConnectAsync("client");
        await using var channel = await connection.CreateChannelAsync(
            new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true)
        );
        await channel.QueueDeclareAsync("client-listener", durable: false, exclusive: false, autoDelete: true);
        foreach (var name in Events())
            await channel.QueueBindAsync("client-listener", name, "#");
        (await channel.BasicGetAsync("client-listener", autoAck: true)).ShouldBeNull();

        // Unreadable on purpose: what counts is that the broker takes it and has a queue for it.
        foreach (var name in PublicCommands())
            await PublishAsync(channel, name);
        channel.IsOpen.ShouldBeTrue();
    }

    [Fact]
    public async Task Foreign_service_is_refused_by_the_management_API_as_well()
    {
        var login = await stack.CreateUserAsync("client", "management");
        using var api = new HttpClient { BaseAddress = new Uri(Stack.Required("Management__Url")) };
        var basic = Convert.ToBase64String(Encoding.UTF8.GetBytes(login.UserInfo));
        api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", basic);
        var vhost = login.AbsolutePath;

        foreach (var queue in new[] { "project-lane-00_error", "project-lane-00", "generation" })
        {
            var get = new
            {
                count = 1,
                ackmode = "ack_requeue_true",
                encoding = "auto",
            };
            using var answer = await api.PostAsJsonAsync($"/api/queues{vhost}/{queue}/get", get);
            ((int)answer.StatusCode).ShouldBeGreaterThanOrEqualTo(400, queue);
            (await answer.Content.ReadAsStringAsync()).ShouldContain("ACCESS_REFUSED");
        }

        using var publish = await api.PostAsJsonAsync(
            $"/api/exchanges{vhost}/render-image/publish",
            new
            {
                routing_key = "",
                payload = "{}",
                payload_encoding = "string",
                properties = new { },
            }
        );
        publish.StatusCode.ShouldNotBe(HttpStatusCode.OK);
        using var users = await api.GetAsync("/api/users");
        users.IsSuccessStatusCode.ShouldBeFalse();
    }

    private async Task<IConnection> ConnectAsync(string role) =>
        await new ConnectionFactory { Uri = await stack.CreateUserAsync(role) }.CreateConnectionAsync();

    private static ValueTask PublishAsync(IChannel channel, string exchange) =>
        channel.BasicPublishAsync(
            exchange,
            routingKey: exchange.Length == 0 ? "project-lane-00" : Guid.Empty.ToString(),
            mandatory: true,
            new BasicProperties { ContentType = "application/json", MessageId = Guid.NewGuid().ToString() },
            "{"u8.ToArray()
        );

    private static Task RefusedAsync(IConnection connection, Func<IChannel, ValueTask> act, string verb, string what) =>
        RefusedAsync(connection, x => act(x).AsTask(), verb, what);

    private static async Task RefusedAsync(IConnection connection, Func<IChannel, Task> act, string verb, string what)
    {
        await using var channel = await connection.CreateChannelAsync();
        var closed = new TaskCompletionSource<ushort>(TaskCreationOptions.RunContinuationsAsynchronously);
        channel.ChannelShutdownAsync += (_, reason) =>
        {
            closed.TrySetResult(reason.ReplyCode);
            return Task.CompletedTask;
        };
        try
        {
            await act(channel);
        }
        catch (OperationInterruptedException e)
        {
            closed.TrySetResult(e.ShutdownReason?.ReplyCode ?? 0);
        }

        // A publish has no answer of its own: the broker closes the channel a moment later.
        if (verb != "publish")
            channel.IsOpen.ShouldBeFalse($"{verb} {what} was allowed");
        (await closed.Task.WaitAsync(CloseLimit)).ShouldBe((ushort)403, $"{verb} {what}: ACCESS_REFUSED");
    }

    /// <summary>Commands but those whose section in docs/messages.md is for operators.</summary>
    private static string[] PublicCommands()
    {
        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs/messages.md"));
        var operators = OperatorSection().Matches(page).Select(x => x.Groups["name"].Value);
        var commands = MessageCatalog.All.Where(x => x.IsCommand).Select(x => x.Name);
        return [.. commands.Except(operators, StringComparer.Ordinal)];
    }

    private static string[] Events() =>
        [.. MessageCatalog.All.Where(x => x.Kind == MessageKind.Event).Select(x => x.Name)];

    [GeneratedRegex(
        "\n## (?<name>[a-z-]+)\n\nFor operators",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex OperatorSection();

    private sealed class Silent(IChannel channel) : AsyncDefaultBasicConsumer(channel);
}
