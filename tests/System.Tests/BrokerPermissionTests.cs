using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>What a foreign service's login may do on the real broker, and what is refused to it.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class BrokerPermissionTests(Stack stack, ITestOutputHelper output) : IClassFixture<Stack>
{
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
            await Refusal.ShouldBeRefusedAsync(connection, x => x.BasicGetAsync(queue, autoAck: true), "get", queue);
            await Refusal.ShouldBeRefusedAsync(
                connection,
                x => x.BasicConsumeAsync(queue, autoAck: true, new Silent(x)),
                "consume",
                queue
            );
            await Refusal.ShouldBeRefusedAsync(connection, x => x.QueuePurgeAsync(queue), "purge", queue);
            await Refusal.ShouldBeRefusedAsync(connection, x => x.QueueDeleteAsync(queue), "delete", queue);
        }

        var (commands, events) = (PublicCommands.Names, Events());
        foreach (var exchange in exchanges)
        {
            if (!commands.Contains(exchange, StringComparer.Ordinal))
                await Refusal.ShouldBeRefusedAsync(connection, x => PublishAsync(x, exchange), "publish", exchange);
            if (!events.Contains(exchange, StringComparer.Ordinal))
                await Refusal.ShouldBeRefusedAsync(
                    connection,
                    x => x.QueueBindAsync("client-own", exchange, "#"),
                    "bind",
                    exchange
                );
            await Refusal.ShouldBeRefusedAsync(connection, x => x.ExchangeDeleteAsync(exchange), "delete", exchange);
            // A queue of its own whose dead letters go there would be a way round.
            if (!commands.Contains(exchange, StringComparer.Ordinal))
                await Refusal.ShouldBeRefusedAsync(
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
        await Refusal.ShouldBeRefusedAsync(connection, x => PublishAsync(x, ""), "publish", "the default exchange");
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
        foreach (var name in PublicCommands.Names)
            await PublishAsync(channel, name);
        channel.IsOpen.ShouldBeTrue();
    }

    [Fact]
    public async Task Foreign_service_with_a_topic_permission_hears_its_own_project_only()
    {
        var login = await stack.CreateUserAsync("client");
        var (project, user) = (Guid.NewGuid().ToString(), login.UserInfo.Split(':')[0]);
        using var management = new BrokerManagement();
        await management.SendAsync(
            HttpMethod.Put,
            $"/api/topic-permissions{login.AbsolutePath}/{user}",
            new
            {
                exchange = "image-saved",
                write = "^$",
                read = $"^{project}$",
            }
        );
        await using var connection = await new ConnectionFactory { Uri = login }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync("client-topic", durable: false, exclusive: false, autoDelete: false);
        await channel.QueueBindAsync("client-topic", "image-saved", project);

        foreach (var key in new[] { "#", "*", Guid.NewGuid().ToString() })
            await Refusal.ShouldBeRefusedAsync(
                connection,
                x => x.QueueBindAsync("client-topic", "image-saved", key),
                "bind",
                key
            );
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

    private static string[] Events() =>
        [.. MessageCatalog.All.Where(x => x.Kind == MessageKind.Event).Select(x => x.Name)];

    private sealed class Silent(IChannel channel) : AsyncDefaultBasicConsumer(channel);
}
