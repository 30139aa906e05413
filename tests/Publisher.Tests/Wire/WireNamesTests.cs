using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Saving;
using Pipeline.Contracts.Storyboards;
using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Wire;

public sealed class WireNamesTests
{
    [Theory]
    [InlineData(typeof(DefineScenes), "define-scenes")]
    [InlineData(typeof(SaveImage), "save-image")]
    [InlineData(typeof(ImportImage), "import-image")]
    [InlineData(typeof(ConfirmObject), "confirm-object")]
    [InlineData(typeof(ImageSaved), "image-saved")]
    [InlineData(typeof(CommandRejected), "command-rejected")]
    public void Exchange_is_the_type_in_kebab_case(Type message, string exchange) =>
        WireNames.ExchangeOf(message).ShouldBe(exchange);

    [Fact]
    public void Routing_key_is_the_project_in_lower_case_with_hyphens() =>
        WireNames
            .RoutingKeyOf(Guid.Parse("{ABCDEF01-2345-6789-ABCD-EF0123456789}"))
            .ShouldBe("abcdef01-2345-6789-abcd-ef0123456789");

    [Theory]
    [InlineData(7, "project-lane-07")]
    [InlineData(123, "project-lane-123")]
    public void Lane_queue_has_two_digits_or_more(int lane, string queue) => WireNames.LaneQueue(lane).ShouldBe(queue);

    // RFC 9562, appendix A.4: the DNS namespace and "www.example.com".
    [Fact]
    public void Name_based_id_is_the_one_that_the_rfc_publishes() =>
        NameBasedGuid
            .Create(Guid.Parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "www.example.com")
            .ShouldBe(Guid.Parse("2ed6657d-e927-568b-95e1-2665a8aea6a2"));

    [Fact]
    public void Command_goes_out_mandatory_under_its_own_id_with_its_project_as_routing_key()
    {
        var command = new DefineScenes(Guid.NewGuid(), Guid.NewGuid(), [new SceneDefinition("scene-1", 1, null)]);

        var message = WireMessage.Command(command);

        message.Exchange.ShouldBe("define-scenes");
        message.RoutingKey.ShouldBe(command.ProjectId.ToString());
        message.MessageId.ShouldBe(command.CommandId);
        message.Mandatory.ShouldBeTrue();
        System
            .Text.Encoding.UTF8.GetString(message.Body.Span)
            .ShouldBe(
                $$"""{"commandId":"{{command.CommandId}}","projectId":"{{command.ProjectId}}","scenes":[{"id":"scene-1","index":1,"prompt":null}]}"""
            );
    }
}
