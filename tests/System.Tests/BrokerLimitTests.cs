using System.Text.Json.Nodes;
using Pipeline.SystemTests.Harness;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// Limits that keep one login from taking the broker from the others. They are set as installations set them, by
/// definitions that are loaded, with the properties of the files that installations load and small numbers.
/// </summary>
[Trait(Speed.Name, Speed.Fast)]
public sealed class BrokerLimitTests : Stack
{
    private const string Folder = "eng/docker/rabbitmq";

    [Theory]
    [InlineData("workers")]
    [InlineData("publisher")]
    [InlineData("client")]
    public async Task Connections_and_channels_beyond_the_users_limits_are_refused(string role)
    {
        var login = await CreateUserAsync(role);
        await LoadAsync(
            new JsonObject
            {
                ["users"] = new JsonArray(
                    new JsonObject
                    {
                        ["name"] = login.UserInfo.Split(':')[0],
                        ["password"] = login.UserInfo.Split(':')[1],
                        ["tags"] = new JsonArray(),
                        ["limits"] = Small(Read($"limits/{role}.json"), ("max-connections", 2), ("max-channels", 3)),
                    }
                ),
            }
        );
        var factory = new ConnectionFactory { Uri = login, AutomaticRecoveryEnabled = false };
        await using var first = await factory.CreateConnectionAsync();
        await using var second = await factory.CreateConnectionAsync();

        // The broker counts a moment later.
        await UntilAsync(
            "a third connection is refused",
            () =>
                IsRefusedAsync(async () =>
                {
                    await using var third = await factory.CreateConnectionAsync();
                    await third.CreateChannelAsync(); // The client may have a connection before the broker has decided.
                })
        );
        await first.CreateChannelAsync();
        await first.CreateChannelAsync();
        await second.CreateChannelAsync();
        await UntilAsync(
            "a fourth channel is refused",
            () => IsRefusedAsync(async () => await (await second.CreateChannelAsync()).DisposeAsync())
        );
        second.CloseReason!.ReplyCode.ShouldBe((ushort)Constants.NotAllowed);
    }

    [Fact]
    public async Task Queues_beyond_the_limit_of_the_virtual_host_are_refused()
    {
        var parameter = Read("parameters.json").AsArray()[0]!.DeepClone().AsObject();
        var there = (await NamesAsync("queues")).Count;
        parameter["vhost"] = Broker.AbsolutePath[1..];
        parameter["value"] = Small(parameter["value"]!, ("max-queues", there + 1));
        await LoadAsync(new JsonObject { ["parameters"] = new JsonArray(parameter) });
        var factory = new ConnectionFactory { Uri = await CreateUserAsync("client") };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.QueueDeclareAsync("client-first", durable: true, exclusive: false, autoDelete: false);

        var refused = await Should.ThrowAsync<OperationInterruptedException>(() =>
            channel.QueueDeclareAsync("client-second", durable: true, exclusive: false, autoDelete: false)
        );

        refused.ShutdownReason!.ReplyCode.ShouldBe((ushort)Constants.PreconditionFailed);
        refused.ShutdownReason.ReplyText.ShouldContain("queue limit");
    }

    [Fact]
    public void Both_kinds_of_installation_load_the_limits_of_every_user_and_of_the_virtual_host()
    {
        var users = Directory
            .GetFiles(Path.Combine(Repository.Root, Folder, "limits"))
            .Select(Path.GetFileNameWithoutExtension);
        users.ShouldBe(["client", "publisher", "workers"], ignoreOrder: true);
        var compose = File.ReadAllText(Path.Combine(Repository.Root, Folder, "start.sh"));
        foreach (var user in new[] { "client", "publisher", "workers" })
            compose.ShouldContain($"$(cat /pipeline/limits/{user}.json)");
        compose.ShouldContain("$(cat /pipeline/parameters.json)");
        var services = File.ReadAllText(Path.Combine(Repository.Root, "eng/services.d/rabbitmq.sh"));
        services.ShouldContain("$definitions/limits/$1.json");
        services.ShouldContain("$definitions/parameters.json");
    }

    private static async Task<bool> IsRefusedAsync(Func<Task> open)
    {
        try
        {
            await open();
            return false;
        }
        catch (Exception e) when (e is BrokerUnreachableException or OperationInterruptedException)
        {
            e.ToString().ShouldContain("limit");
            return true;
        }
    }

    private static JsonNode Read(string file) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(Repository.Root, Folder, file)))!;

    /// <summary>The limits of a file, all of them, with other numbers.</summary>
    private static JsonObject Small(JsonNode limits, params (string Name, int Value)[] numbers)
    {
        limits.AsObject().Select(x => x.Key).ShouldBe(numbers.Select(x => x.Name), ignoreOrder: true);
        return new JsonObject(numbers.Select(x => KeyValuePair.Create(x.Name, (JsonNode?)x.Value)));
    }

    private static async Task LoadAsync(JsonObject definitions)
    {
        using var management = new BrokerManagement();
        await management.SendAsync(HttpMethod.Post, "/api/definitions", definitions);
    }
}
