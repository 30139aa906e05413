using Pipeline.Contracts.Cataloguing;
using Pipeline.Wire;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>Objects that others put or delete: the store is asked, and its word is what the catalogue says.</summary>
public sealed class ObjectCommandTests(CatalogPipeline pipeline) : IClassFixture<CatalogPipeline>
{
    public static TheoryData<string> Keys =>
        [
            "14000.jpg",
            "with spaces/and  two.png",
            "plus+sign+.png",
            "percent%2Fencoded%20.png",
            "ünï/código/图像/🎉.png",
            "question?hash#amp&equals=;.png",
            "quote\"less<more>'.png",
            "trailing/slash/",
            new string('a', 1020) + ".png",
            // 1,024 bytes, in 256 characters of four.
            string.Concat(Enumerable.Repeat("🎉", 256)),
        ];

    [Theory]
    [MemberData(nameof(Keys))]
    public async Task Any_key_round_trips_and_adding_it_twice_gives_one_row(string key)
    {
        await pipeline.PutAsync(key, "four");

        (await RecordAsync(key)).ShouldBe("applied");
        (await RecordAsync(key)).ShouldBe("unchanged");

        (await pipeline.AskAsync("select count(*) from status.catalog where key = $1", key)).ShouldBe("1");
        (await pipeline.EntryAsync(key)).ShouldBe("4 image/png");
        (await ForgetAsync(key)).ShouldStartWith("superseded");
        await pipeline.Store.DeleteAsync(key, default);
        (await ForgetAsync(key)).ShouldBe("applied");
        (await ForgetAsync(key)).ShouldBe("unchanged");
        (await pipeline.AskAsync("select count(*) from status.catalog where key = $1", key)).ShouldBe("0");
    }

    [Fact]
    public async Task Nothing_is_believed_that_the_store_does_not_say()
    {
        const string Key = "believed.png";
        (await RecordAsync(Key)).ShouldBe("target-missing: objectKey: the store has no such object.");
        (await pipeline.AskAsync("select count(*) from status.catalog where key = $1", Key)).ShouldBe("0");

        await pipeline.PutAsync(Key, "four");
        (await ForgetAsync(Key)).ShouldStartWith("superseded: The store has the object");
        (await pipeline.EntryAsync(Key)).ShouldBe("4 image/png");

        await pipeline.PutAsync(Key, "five!", "image/gif");
        (await RecordAsync(Key)).ShouldBe("applied");
        (await pipeline.EntryAsync(Key)).ShouldBe("5 image/gif");

        await pipeline.Store.DeleteAsync(Key, default);
        (await RecordAsync(Key)).ShouldStartWith("target-missing");
        (await pipeline.EntryAsync(Key)).ShouldBe("gone");
    }

    [Fact]
    public async Task A_command_that_comes_again_is_answered_the_same_and_another_content_is_refused()
    {
        const string Key = "again.png";
        await pipeline.PutAsync(Key);
        var command = new RecordObject(Guid.NewGuid(), Key);
        (await pipeline.AnswerAsync(command, command.CommandId)).ShouldBe("applied");

        await pipeline.Store.DeleteAsync(Key, default);
        await pipeline.SendAsync(command);
        await Until.TrueAsync("the answer again", async () => await ToldAsync(command.CommandId) == 2);
        (await pipeline.EntryAsync(Key)).ShouldBe("1 image/png"); // A repetition looks at nothing.

        await pipeline.SendAsync(command with { ObjectKey = "another.png" });
        await Until.TrueAsync(
            "the conflict",
            async () =>
                await pipeline.AskAsync(
                    "select count(*) from pipeline.receipt_conflicts where command_id = $1",
                    command.CommandId
                ) == "1"
        );
    }

    [Theory]
    [InlineData("", "objectKey: must have 1 to 1024 characters.")]
    [InlineData("a\nb", "objectKey: must not contain control characters, nor a segment '.' or '..'.")]
    [InlineData("a/../b", "objectKey: must not contain control characters, nor a segment '.' or '..'.")]
    [InlineData("long", "objectKey: must have at most 1024 bytes.")]
    public async Task Bad_key_is_rejected_with_field_and_rule(string key, string reason)
    {
        key = key == "long" ? new string('é', 513) : key;

        (await RecordAsync(key)).ShouldBe($"rejected: {reason}");
        (await ForgetAsync(key)).ShouldBe($"rejected: {reason}");
    }

    [Fact]
    public async Task Sql_callers_queue_a_command_and_twice_gives_one_row()
    {
        await pipeline.PutAsync("sql+caller \"1\".jpg", "four", "image/jpeg");
        for (var i = 0; i < 2; i++)
        {
            // The role of the tests owns the function; a role of an application is granted it.
            var id = await pipeline.AskAsync("select add_file_to_catalog('sql+caller \"1\".jpg')");
            var body = await pipeline.AskAsync(
                "delete from pipeline.outbox where message_id = $1::uuid returning convert_from(body, 'UTF8')",
                Guid.Parse(id!)
            );
            var command = System.Text.Json.JsonSerializer.Deserialize<RecordObject>(body!, WireJson.Options)!;
            (await pipeline.AnswerAsync(command, command.CommandId)).ShouldBe(i == 0 ? "applied" : "unchanged");
        }

        (await pipeline.AskAsync("select count(*) from status.catalog where key = 'sql+caller \"1\".jpg'")).ShouldBe(
            "1"
        );
        await Should.ThrowAsync<Npgsql.PostgresException>(() => pipeline.AskAsync("select add_file_to_catalog('')"));
    }

    [Fact]
    public async Task Racing_records_and_deletions_end_as_the_store_does()
    {
        const int Rounds = 40;
        const int KeyCount = 4;
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var commands = new List<Guid>();
        for (var round = 0; round < Rounds; round++)
        {
            var key = $"race/{random.Next(KeyCount)}.png";
            var isPut = random.Next(2) == 0;
            if (isPut)
                await pipeline.PutAsync(key, new string('x', round + 1));
            else
                await pipeline.Store.DeleteAsync(key, default);
            var id = Guid.NewGuid();
            commands.Add(id);
            // Not awaited: sixteen of them are in the air at once, and overtake each other.
            if (isPut)
                await pipeline.SendAsync(new RecordObject(id, key));
            else
                await pipeline.SendAsync(new ForgetObject(id, key));
        }

        await Until.TrueAsync(
            "all receipts",
            async () =>
                await pipeline.AskAsync(
                    "select count(*) from pipeline.receipts where command_id = any($1)",
                    commands.ToArray()
                ) == $"{Rounds}"
        );
        for (var i = 0; i < KeyCount; i++)
        {
            var key = $"race/{i}.png";
            var stored = await pipeline.Store.HeadAsync(key, default);
            var entry = await pipeline.EntryAsync(key);
            (entry is null or "gone" ? null : entry).ShouldBe(
                stored is null ? null : $"{stored.Size} image/png",
                $"seed {seed}"
            );
        }
    }

    [Fact]
    public async Task Statistics_count_what_is_there_by_prefix_and_type()
    {
        await pipeline.PutAsync("tally/1.png", "123");
        await pipeline.PutAsync("tally/2.gif", "12345", "image/gif");
        await pipeline.PutAsync("tally/3.gif", "1", "image/gif");
        foreach (var key in new[] { "tally/1.png", "tally/2.gif", "tally/3.gif" })
            await RecordAsync(key);
        await pipeline.Store.DeleteAsync("tally/3.gif", default);
        await ForgetAsync("tally/3.gif");
        await pipeline.PutAsync("tally/2.gif", "1234567", "image/gif");
        await RecordAsync("tally/2.gif");

        (
            await pipeline.AskAsync(
                "select x ->> 'objects' || ' ' || (x ->> 'bytes') from status.catalog_statistics, jsonb_array_elements(by_prefix) x where x ->> 'prefix' = 'tally/'"
            )
        ).ShouldBe("2 10");
        // The tallies are differences that are added up now and then; the sum is the table's at any time.
        const string Differences = """
            select count(*) from status.catalog_statistics s
            where s.objects <> (select count(*) from status.catalog)
                or s.bytes <> (select coalesce(sum(size), 0) from status.catalog)
                or s.newest_at <> (select max(last_modified) from status.catalog)
            """;
        await Until.TrueAsync("agreement", async () => await pipeline.AskAsync(Differences) == "0");
    }

    [Fact]
    public async Task Own_write_over_what_was_just_forgotten_has_the_store_asked_once_more()
    {
        var key = ObjectKeys.ForUpload(Guid.NewGuid());
        await ForgetAsync(key);
        (await pipeline.EntryAsync(key)).ShouldBe("gone");

        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            var stored = new StoredObject(key, 3, "etag", "image/png", DateTimeOffset.UnixEpoch);
            await ObjectCatalog.RecordAsync(connection, transaction, stored, DateTimeOffset.UnixEpoch, default);
            await transaction.CommitAsync();
        }

        (await pipeline.EntryAsync(key)).ShouldBe("3 image/png");
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.outbox where exchange = 'record-object' and convert_from(body, 'UTF8') like $1",
                $"%{key}%"
            )
        ).ShouldBe("1");
    }

    [Fact]
    public async Task Own_deletion_is_remembered_so_that_nothing_older_brings_it_back()
    {
        const string Key = "purged.png";
        await pipeline.PutAsync(Key);
        await RecordAsync(Key);
        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await ObjectCatalog.RemoveAsync(connection, transaction, [Key, "never-there.png", Key], default);
            await transaction.CommitAsync();
        }

        (await pipeline.EntryAsync(Key)).ShouldBe("gone");
        (await pipeline.EntryAsync("never-there.png")).ShouldBe("gone");
        (await pipeline.AskAsync("select count(*) from status.catalog where key = $1", Key)).ShouldBe("0");
    }

    private Task<string> RecordAsync(string key)
    {
        var command = new RecordObject(Guid.NewGuid(), key);
        return pipeline.AnswerAsync(command, command.CommandId);
    }

    private Task<string> ForgetAsync(string key)
    {
        var command = new ForgetObject(Guid.NewGuid(), key);
        return pipeline.AnswerAsync(command, command.CommandId);
    }

    private async Task<int> ToldAsync(Guid commandId) =>
        int.Parse(
            (
                await pipeline.AskAsync(
                    "select count(*) from pipeline.outbox where exchange = 'object-recorded' and convert_from(body, 'UTF8') like $1",
                    $"%{commandId}%"
                )
            )!
        );
}
