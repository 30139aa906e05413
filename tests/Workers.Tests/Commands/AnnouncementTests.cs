using System.Text;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Tests.Persistence;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Commands;

/// <summary>A redelivery must announce the same bytes again, after a way through a json column and back.</summary>
public sealed class AnnouncementTests(ScratchDatabase database, ITestOutputHelper output)
    : IClassFixture<ScratchDatabase>
{
    // What JSON writers differ on: escapes, slashes, quotes, astral planes, separators, and U+0000 itself.
    private const string Letters = "aZ09 /\\\"'<>&+\t\n\r\u0000\u0001\u007f\u2028é漢😀";

    [Fact]
    public async Task Bodies_keep_their_bytes_in_the_receipts_column()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var i = 0; i < 200; i++)
        {
            Announcement[] sent = [.. Enumerable.Range(0, random.Next(4)).Select(_ => Next(random))];

            var stored = await database.TextsAsync("select $1::json::text", Announcement.Write(sent));
            var read = Announcement.Read(stored.Single());

            read.Select(x => (x.Exchange, x.MessageId)).ShouldBe(sent.Select(x => (x.Exchange, x.MessageId)));
            for (var k = 0; k < sent.Length; k++)
                read[k].Body.ShouldBe(sent[k].Body);
        }
    }

    [Fact]
    public void Body_with_spaces_and_any_order_of_names_stays_as_it_is()
    {
        var body = """{ "b" : 1.50e0,  "a":[ ] }"""u8.ToArray();

        var read = Announcement.Read(Announcement.Write([new Announcement("image-saved", Guid.NewGuid(), body)]));

        Encoding.UTF8.GetString(read.Single().Body).ShouldBe("""{ "b" : 1.50e0,  "a":[ ] }""");
    }

    [Fact]
    public void Message_id_is_the_same_for_the_same_command_and_another_for_another_part()
    {
        var command = new CommandKey(Guid.NewGuid(), Guid.NewGuid());
        var rejected = new CommandRejected(
            command.CommandId,
            command.Scope,
            "save-image",
            "slot: …",
            DateTimeOffset.UnixEpoch
        );

        var first = Announcement.Of(command, rejected);

        Announcement.Of(command with { Scope = Guid.NewGuid() }, rejected).MessageId.ShouldNotBe(first.MessageId);
        Announcement.Of(command, rejected).MessageId.ShouldBe(first.MessageId);
        Announcement.Of(command, rejected, "part").MessageId.ShouldNotBe(first.MessageId);
    }

    private static Announcement Next(Random random)
    {
        var runes = Letters.EnumerateRunes().ToArray();
        var reason = string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => runes[random.Next(runes.Length)]));
        var command = Guid.NewGuid();
        return Announcement.OfCause(
            command,
            new CommandRejected(command, Guid.NewGuid(), "save-image", reason, DateTimeOffset.UnixEpoch)
        );
    }
}
