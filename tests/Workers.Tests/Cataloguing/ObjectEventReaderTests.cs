using System.Text.Json;
using Pipeline.Workers.Cataloguing;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>The shapes in which stores tell of puts and deletions.</summary>
public sealed class ObjectEventReaderTests
{
    private const string Bucket = "pictures";

    [Fact]
    public void Aws_encodes_keys_like_a_forms_field() =>
        Read(
                """
                {"Records":[
                  {"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{
                    "bucket":{"name":"pictures"},
                    "object":{"key":"red+flower%2Bone/%E5%9B%BE%252F.jpg","size":1024,"eTag":"d41d","sequencer":"0a1b2c"}}},
                  {"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{
                    "bucket":{"name":"pictures"},"object":{"key":"14000.jpg","sequencer":"00ff"}}},
                  {"eventSource":"aws:s3","eventName":"LifecycleExpiration:Delete","s3":{
                    "bucket":{"name":"pictures"},"object":{"key":"old.jpg"}}},
                  {"eventSource":"aws:s3","eventName":"ObjectTagging:Put","s3":{}}]}
                """
            )
            .ShouldBe([
                new ObjectEvent("red flower+one/图%2F.jpg", IsDeletion: false, "0A1B2C"),
                new ObjectEvent("14000.jpg", IsDeletion: true, "00FF"),
                new ObjectEvent("old.jpg", IsDeletion: true, Sequencer: null),
            ]);

    [Fact]
    public void Minio_names_events_with_a_prefix_and_encodes_the_slash_too() =>
        Read(
                """
                {"EventName":"s3:ObjectCreated:Put","Key":"pictures/a/b c.png","Records":[{"eventVersion":"2.0",
                  "eventSource":"minio:s3","eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"pictures"},
                  "object":{"key":"a%2Fb+c.png","size":629648,"eTag":"b7ce","contentType":"image/png",
                            "sequencer":"15612487A9DF732C"}}}]}
                """
            )
            .ShouldBe([new ObjectEvent("a/b c.png", IsDeletion: false, "15612487A9DF732C")]);

    [Theory]
    [InlineData("ObjectCreated:Put")]
    [InlineData("s3:ObjectCreated:Put")] // Releases before Quincy.
    public void Ceph_writes_keys_as_they_are_and_its_sequencer_backwards(string name) =>
        Read(
                $$$$"""
                {"Records":[{"eventSource":"ceph:s3","eventName":"{{{{name}}}}","s3":{"bucket":{"name":"pictures"},
                  "object":{"key":"a+b %2F.png","size":1024,"eTag":"37b5","versionId":"","sequencer":"F7E6D75DC742D108",
                            "metadata":[],"tags":[]}},"eventId":"","opaqueData":""}]}
                """
            )
            .ShouldBe([new ObjectEvent("a+b %2F.png", IsDeletion: false, "5DD7E6F708D142C7")]);

    [Fact]
    public void EventBridge_does_not_encode()
    {
        Read(
                """
                {"version":"0","detail-type":"Object Created","source":"aws.s3","detail":{"version":"0",
                  "bucket":{"name":"pictures"},"object":{"key":"a+b %2F.png","size":5,"etag":"b1946ac","sequencer":"00617F"},
                  "reason":"PutObject"}}
                """
            )
            .ShouldBe([new ObjectEvent("a+b %2F.png", IsDeletion: false, "00617F")]);
        Read(
                """
                {"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"pictures"},
                  "object":{"key":"x","sequencer":"01"},"deletion-type":"Permanently Deleted"}}
                """
            )
            .ShouldBe([new ObjectEvent("x", IsDeletion: true, "01")]);
        Read("""{"detail-type":"Object Tags Added","source":"aws.s3","detail":{}}""").ShouldBeEmpty();
    }

    [Fact]
    public void Seaweed_tells_paths_below_buckets()
    {
        Read(
                """
                {"key":"/buckets/pictures/a/b+%2F.png","event_type":"create","message":{"new_entry":{"name":"b+%2F.png"}}}
                """
            )
            .ShouldBe([new ObjectEvent("a/b+%2F.png", IsDeletion: false, Sequencer: null)]);
        Read(
                """
                {"key":"/buckets/pictures/a/b.png","event_type":"delete","message":{"old_entry":{"name":"b.png"}}}
                """
            )
            .ShouldBe([new ObjectEvent("a/b.png", IsDeletion: true, Sequencer: null)]);
        Read(
                """
                {"key":"/buckets/pictures/a/b.png","event_type":"rename","message":{"old_entry":{"name":"b.png"},
                  "new_entry":{"name":"c.png"},"new_parent_path":"/buckets/pictures/z"}}
                """
            )
            .ShouldBe([
                new ObjectEvent("a/b.png", IsDeletion: true, Sequencer: null),
                new ObjectEvent("z/c.png", IsDeletion: false, Sequencer: null),
            ]);
        Read(
                """
                {"key":"/buckets/pictures/a","event_type":"create","message":{"new_entry":{"is_directory":true}}}
                """
            )
            .ShouldBeEmpty();
    }

    [Fact]
    public void Sns_wraps_the_event_in_a_text() =>
        Read(
                """
                {"Type":"Notification","TopicArn":"arn:aws:sns:x","Message":
                 "{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Copy\",\"s3\":{\"bucket\":{\"name\":\"pictures\"},\"object\":{\"key\":\"k\",\"sequencer\":\"0A\"}}}]}"}
                """
            )
            .ShouldBe([new ObjectEvent("k", IsDeletion: false, "0A")]);

    [Fact]
    public void Test_event_of_a_new_notification_says_nothing() =>
        Read("""{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"pictures"}""").ShouldBeEmpty();

    [Theory]
    [InlineData("""{"hello":"world"}""", "neither Records nor detail-type nor event_type, but hello")]
    [InlineData("""{"Records":{}}""", "Records is no list")]
    [InlineData("""{"Records":[{"s3":{}}]}""", "eventName is missing")]
    [InlineData("""{"Records":[{"eventName":"ObjectCreated:Put"}]}""", "s3 is missing")]
    [InlineData(
        """{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"other"},"object":{"key":"k"}}}]}""",
        "of the bucket 'other', and ours is 'pictures'"
    )]
    [InlineData(
        """{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"pictures"},"object":{"key":""}}}]}""",
        "s3.object.key is missing"
    )]
    [InlineData(
        """{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"pictures"},"object":{"key":"k","sequencer":"soon"}}}]}""",
        "the sequencer 'soon' is no hexadecimal number"
    )]
    [InlineData("""{"key":"/etc/passwd","event_type":"create","message":{"new_entry":{}}}""", "not below /buckets/")]
    [InlineData("""{"Type":"SubscriptionConfirmation","Message":"x"}""", "confirm the subscription")]
    public void What_cannot_be_understood_says_why(string json, string reason) =>
        Should.Throw<UnreadableEventException>(() => Read(json)).Message.ShouldContain(reason);

    [Theory]
    [InlineData("0A", "09", true)]
    [InlineData("09", "0A", false)]
    [InlineData("0A", "0A", false)]
    [InlineData("0A1", "0A", true)] // Padded at the right: 0A1 and 0A0.
    [InlineData("0A", "0A0", false)]
    [InlineData("1", "0FFFF", true)]
    [InlineData(null, "0A", true)]
    [InlineData("0A", null, true)]
    public void Sequencers_are_padded_at_the_right_and_compared_as_text(string? told, string? known, bool isNews) =>
        Sequencer.IsNews(told, known).ShouldBe(isNews);

    [Fact]
    public void Cephs_sequencers_follow_time_across_the_carry_of_a_byte()
    {
        // 0x5DD7E6FF s and 1 ns, then 0x5DD7E700 s and 0 ns: as text the later one would be the smaller.
        var earlier = Sequencer.OfCeph("FFE6D75D01000000");
        var later = Sequencer.OfCeph("00E7D75D00000000");

        Sequencer.IsNews(later, earlier).ShouldBeTrue();
        Sequencer.IsNews(earlier, later).ShouldBeFalse();
    }

    private static IReadOnlyList<ObjectEvent> Read(string json) =>
        ObjectEventReader.Read(JsonSerializer.Deserialize<ObjectEvents>(json)!.Body, Bucket);
}
