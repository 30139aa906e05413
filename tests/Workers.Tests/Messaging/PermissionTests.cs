using System.Text.RegularExpressions;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>
/// The expressions in eng/docker/rabbitmq/permissions.json name messages one by one, because a name does not tell
/// whether others may send it: a new message has to be entered there.
/// </summary>
public sealed class PermissionTests
{
    public static IEnumerable<object[]> Messages => MessageCatalog.All.Select(x => new object[] { x.Name });

    [Theory]
    [MemberData(nameof(Messages))]
    public void Foreign_services_send_public_commands_and_hear_events(string name)
    {
        MessageCatalog.TryFind(name, out var message).ShouldBeTrue();
        var client = BrokerUser.Of("client");

        Matches(client.Write, name)
            .ShouldBe(PublicCommands.Names.Contains(name, StringComparer.Ordinal), $"{name} in 'write'");
        Matches(client.Read, name).ShouldBe(message!.Kind == MessageKind.Event, $"{name} in 'read'");
        Matches(client.Configure, name).ShouldBeFalse();
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Publisher_sends_commands_and_forges_no_event(string name)
    {
        MessageCatalog.TryFind(name, out var message).ShouldBeTrue();
        var publisher = BrokerUser.Of("publisher");

        // Internal ones too, because it replays them.
        Matches(publisher.Write, name).ShouldBe(message!.Kind != MessageKind.Event, $"{name} in 'write'");
        Matches(publisher.Read, name).ShouldBeFalse();
    }

    [Theory]
    [InlineData("project-lane-07")]
    [InlineData("generation")]
    [InlineData("import-image")]
    public void Publisher_reads_dead_letters_and_nothing_else(string queue)
    {
        var publisher = BrokerUser.Of("publisher");

        Matches(publisher.Read, queue).ShouldBeFalse();
        Matches(publisher.Read, WireNames.ErrorQueue(queue)).ShouldBeTrue();
        Matches(publisher.Read, WireNames.SkippedQueue(queue)).ShouldBeTrue();
        Matches(publisher.Write, queue).ShouldBeTrue(); // Where it replays to.
        Matches(publisher.Write, WireNames.ErrorQueue(queue)).ShouldBeFalse();
        Matches(publisher.Configure, queue).ShouldBeFalse();
    }

    /// <summary>The list says what it may write to, so that an exchange that nobody thought of is not open to it.</summary>
    [Theory]
    [InlineData("project-lanes", true)]
    [InlineData("generate-image_parked", true)]
    [InlineData("project-lane-07_parked", true)]
    [InlineData("webhook-events", false)] // Whoever writes there could have a false event signed.
    [InlineData("somebody-elses", false)]
    [InlineData("amq.default", false)]
    [InlineData("client-shop", false)]
    public void Publisher_writes_to_what_its_list_names(string exchange, bool may) =>
        Matches(BrokerUser.Of("publisher").Write, exchange).ShouldBe(may);

    [Theory]
    [InlineData("project-lanes", true)]
    [InlineData("render-image_error", true)]
    [InlineData("client-shop", false)]
    [InlineData("amq.default", false)]
    public void Workers_have_all_but_what_belongs_to_others(string name, bool may)
    {
        var workers = BrokerUser.Of("workers");

        Matches(workers.Configure, name).ShouldBe(may);
        Matches(workers.Write, name).ShouldBe(may);
        // To take a client's exchange off a command's, it must be able to read from it.
        Matches(workers.Read, name).ShouldBe(may || name.StartsWith("client-", StringComparison.Ordinal));
    }

    // As RabbitMQ does it: anywhere in the name, unless the expression is anchored.
    private static bool Matches(string expression, string name) =>
        Regex.IsMatch(name, expression, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
}
