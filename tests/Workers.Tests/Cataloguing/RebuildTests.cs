using Pipeline.Contracts.Cataloguing;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>
/// A rebuild, message by message: the test is the relay, so that it can look in between, send twice and pull the plug.
/// </summary>
public sealed class RebuildTests(RebuildPipeline pipeline) : IClassFixture<RebuildPipeline>, IAsyncLifetime
{
    private static readonly string[] Throughout =
    [
        .. Enumerable.Range(0, 20).Select(x => $"projects/{x:D2}/picture.png"),
        .. Enumerable.Range(0, 20).Select(x => $"{14_000 + x}.jpg"),
        "with space+plus%2F/ünï🎉.png",
        "projects/07/no XML holds \uFFFE.png",
        "z\uFFFF",
    ];

    public async Task InitializeAsync()
    {
        pipeline.Switch.Mend();
        foreach (var key in Throughout)
            await pipeline.Store.PutOnceAsync(key, new byte[3], "image/png", default);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task Catalogue_agrees_with_the_store_afterwards_and_readers_never_miss_what_was_there()
    {
        (await pipeline.RunAsync(await pipeline.AskAsync())).ShouldStartWith("applied");
        foreach (var key in new[] { "0-gone.png", "projects/05/gone.png", "zz-gone.png" })
            await pipeline.PlantAsync(key);
        var asked = await pipeline.AskAsync();
        var steps = 0;

        var receipt = await pipeline.RunAsync(
            asked,
            async () =>
            {
                steps++;
                (
                    await pipeline.AskAsync(
                        "select count(*) from status.catalog where key = any($1)",
                        (object)Throughout
                    )
                ).ShouldBe($"{Throughout.Length}");
            }
        );

        steps.ShouldBeGreaterThan(5);
        receipt.ShouldStartWith($"applied: Rebuild {await pipeline.RebuildOfAsync(asked)}: ");
        receipt.ShouldContain("3 entries removed");
        (await pipeline.CatalogedKeysAsync()).ShouldBe(await pipeline.StoredKeysAsync());
        (
            await pipeline.AskAsync(
                """
                select concat_ws(' ', state, keys, removed, requests, partitions > 1, partitions = partitions_listed,
                    pages >= keys / 7, ended_at is not null, estimated_end is null)
                from status.catalog_rebuilds where id = $1
                """,
                (await pipeline.RebuildOfAsync(asked))!
            )
        ).ShouldBe($"Completed {(await pipeline.StoredKeysAsync()).Length} 3 1 t t t t t");
        (
            await pipeline.AskAsync(
                "select count(*) from pipeline.outbox where exchange = 'catalog-rebuilt' and convert_from(body, 'UTF8') like $1",
                $"%{await pipeline.RebuildOfAsync(asked)}%"
            )
        ).ShouldBe("1");
    }

    [Fact]
    public async Task Second_request_joins_the_first_and_a_later_one_begins_anew()
    {
        var first = await pipeline.AskAsync();
        await pipeline.StepAsync();
        var second = await pipeline.AskAsync();
        await pipeline.SendAsync(new RebuildCatalog(first)); // The first one again is the same one.

        var receipt = await pipeline.RunAsync(first);

        var rebuild = await pipeline.RebuildOfAsync(first);
        (await pipeline.RebuildOfAsync(second)).ShouldBe(rebuild);
        receipt.ShouldStartWith($"applied: Rebuild {rebuild}: ");
        (await pipeline.ReceiptAsync(second)).ShouldNotBeNull().ShouldStartWith($"applied: Joined rebuild {rebuild}: ");
        var third = await pipeline.AskAsync();
        (await pipeline.RebuildOfAsync(third)).ShouldNotBe(rebuild);
        (await pipeline.RunAsync(third)).ShouldStartWith("applied: Rebuild");
        (await pipeline.AskAsync("select count(*) from pipeline.catalog_rebuild_slots")).ShouldBe("0");
    }

    [Fact]
    public async Task A_page_that_comes_again_changes_nothing_twice()
    {
        var asked = await pipeline.AskAsync();
        var rebuild = (await pipeline.RebuildOfAsync(asked))!.Value;

        await pipeline.RunAsync(
            asked,
            async () =>
            {
                // Every page of every part, those that are done and those that are not: at most one is next.
                for (var part = 0; part < 5; part++)
                    await pipeline.SendAsync(new ListPage(rebuild, part, 1));
                await pipeline.SendAsync(new BeginRebuild(rebuild, pipeline.Bucket));
                await pipeline.SendAsync(new PartListed(rebuild, 0));
                await pipeline.SendAsync(new SweepCatalog(rebuild, 1));
            }
        );

        (await pipeline.AskAsync("select keys from status.catalog_rebuilds where id = $1", rebuild)).ShouldBe(
            $"{(await pipeline.StoredKeysAsync()).Length}"
        );
        (await pipeline.CatalogedKeysAsync()).ShouldBe(await pipeline.StoredKeysAsync());
    }

    [Fact]
    public async Task Lost_messages_are_sent_again_so_that_a_rebuild_neither_fails_to_begin_nor_to_end()
    {
        const string Lose = "delete from pipeline.outbox where exchange = any($1) returning 1";
        var first = await pipeline.AskAsync();
        await pipeline.AskAsync(Lose, (object)new[] { "begin-rebuild" });
        await pipeline.StepAsync();
        (await pipeline.StateAsync(first)).ShouldBeNull();

        // The next request finds that it has not begun.
        var second = await pipeline.AskAsync();
        await pipeline.StepAsync();
        (await pipeline.StateAsync(first)).ShouldBe("Listing");

        var lost = 0;
        var receipt = await pipeline.RunAsync(
            first,
            async () =>
            {
                // What tells of an end is lost three times, and told again once it is due.
                if (
                    lost < 3
                    && await pipeline.AskAsync(Lose, (object)new[] { "part-listed", "catalog-swept" }) is not null
                )
                    lost++;
                await pipeline.AskAsync(
                    "update pipeline.catalog_rebuild_parts set due_at = now() where done returning 1"
                );
            }
        );

        lost.ShouldBe(3);
        receipt.ShouldStartWith("applied");
        (await pipeline.ReceiptAsync(second)).ShouldNotBeNull().ShouldStartWith("applied: Joined");
    }

    [Fact]
    public async Task Cancelled_rebuild_removes_nothing_and_frees_the_bucket()
    {
        await pipeline.PlantAsync("cancelled-gone.png");
        var asked = await pipeline.AskAsync();
        var rebuild = (await pipeline.RebuildOfAsync(asked))!.Value;
        await pipeline.StepAsync();
        await pipeline.StepAsync();

        (await CancelAsync(rebuild)).ShouldBe("applied");
        (await pipeline.ReceiptAsync(asked)).ShouldBe($"superseded: Rebuild {rebuild}: The rebuild was cancelled.");
        while (await pipeline.StepAsync() > 0) { } // Pages that are still on their way.
        (await pipeline.EntryAsync("cancelled-gone.png")).ShouldBe("1");
        (await CancelAsync(rebuild)).ShouldBe("unchanged: The rebuild is Cancelled.");
        (await CancelAsync(Guid.NewGuid())).ShouldBe("rejected: rebuildId: there is no such rebuild.");
        (await pipeline.RunAsync(await pipeline.AskAsync())).ShouldStartWith("applied: Rebuild");
        (await pipeline.EntryAsync("cancelled-gone.png")).ShouldBeNull();
    }

    [Theory]
    [InlineData("NoSuchBucket", 0)]
    [InlineData("AccessDenied", 0)]
    [InlineData("AccessDenied", 2)]
    public async Task Refusal_of_the_store_ends_the_rebuild_with_its_name_and_removes_nothing(string code, int after)
    {
        await pipeline.RunAsync(await pipeline.AskAsync());
        await pipeline.PlantAsync("refused-gone.png");
        var before = await pipeline.CatalogedKeysAsync();
        pipeline.Switch.Break(code, after);

        var asked = await pipeline.AskAsync();
        var receipt = await pipeline.RunAsync(asked);

        receipt.ShouldStartWith($"failed: Rebuild {await pipeline.RebuildOfAsync(asked)}: ");
        receipt.ShouldContain(code);
        (await pipeline.StateAsync(asked)).ShouldBe("Abandoned");
        (await pipeline.CatalogedKeysAsync()).ShouldBe(before);
        (
            await pipeline.AskAsync(
                "select convert_from(body, 'UTF8') like '%' || $2 || '%' from pipeline.outbox where exchange = 'catalog-rebuild-ended' and convert_from(body, 'UTF8') like $1",
                $"%{await pipeline.RebuildOfAsync(asked)}%",
                code
            )
        ).ShouldBe("True");
        pipeline.Switch.Mend();
        (await pipeline.RunAsync(await pipeline.AskAsync())).ShouldStartWith("applied: Rebuild");
    }

    [Fact]
    public async Task Page_that_can_never_be_taken_ends_the_rebuild_visibly_and_not_in_dead_letters_without_end()
    {
        await pipeline.PlantAsync("kept.png");
        pipeline.Switch.Break(StoreSwitch.Unstorable);

        (await pipeline.RunAsync(await pipeline.AskAsync())).ShouldContain("failed: Rebuild");

        (await pipeline.EntryAsync("kept.png")).ShouldBe("1");
        pipeline.Switch.Mend();
        (await pipeline.RunAsync(await pipeline.AskAsync())).ShouldStartWith("applied: Rebuild");
    }

    [Fact]
    public async Task Server_that_goes_away_is_waited_for_and_the_rebuild_goes_on_where_it_was()
    {
        await pipeline.PlantAsync("away-gone.png");
        var asked = await pipeline.AskAsync();
        await pipeline.StepAsync(); // It begins,
        await pipeline.StepAsync(); // and lists its first page.
        pipeline.Switch.Break(StoreSwitch.Down);
        await Until.TrueAsync(
            "the wait",
            async () =>
            {
                await pipeline.StepAsync();
                return await pipeline.AskAsync(
                        "select wait_reason like '%cannot be reached%' from status.catalog_rebuilds where ended_at is null"
                    ) == "True";
            }
        );
        var pages = int.Parse(
            (await pipeline.AskAsync("select pages from status.catalog_rebuilds where ended_at is null"))!
        );
        pages.ShouldBeGreaterThan(0);
        (await pipeline.EntryAsync("away-gone.png")).ShouldBe("1");

        pipeline.Switch.Mend();
        (await pipeline.RunAsync(asked)).ShouldStartWith("applied: Rebuild");

        (await pipeline.CatalogedKeysAsync()).ShouldBe(await pipeline.StoredKeysAsync());
    }

    [Fact]
    public async Task Server_that_stays_away_ends_the_rebuild_visibly()
    {
        pipeline.Switch.Break(StoreSwitch.Down);
        var asked = await pipeline.AskAsync();
        var receipt = await pipeline.RunAsync(
            asked,
            async () =>
                await pipeline.AskAsync(
                    "update pipeline.catalog_rebuild_parts set waiting_since = now() - interval '2 hours' where waiting_since is not null returning 1"
                )
        );

        receipt.ShouldStartWith("failed");
        receipt.ShouldContain("The store did not answer for 02:00:");
    }

    [Fact]
    public async Task What_is_decided_while_a_page_is_listed_is_not_undone_by_the_page()
    {
        var rebuild = Guid.NewGuid();
        var asked = await NowAsync();
        await pipeline.AskAsync(
            """
            insert into pipeline.catalog_entries (key, size, etag, last_modified, first_seen, gone_at, changed_at) values
                ('mark/gone-before', 1, 'e', now(), now(), now(), $1 - interval '1 second'),
                ('mark/gone-after', 1, 'e', now(), now(), now(), $1 + interval '1 second'),
                ('mark/other-before', 1, 'other', now(), now(), null, $1 - interval '1 second'),
                ('mark/other-after', 1, 'other', now(), now(), null, $1 + interval '1 second')
            returning 1
            """,
            asked
        );
        string[] keys = ["mark/gone-before", "mark/gone-after", "mark/other-before", "mark/other-after", "mark/new"];
        List<string> doubtful;
        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            var page = keys.Select(x => new StoredObject(x, 9, "e", null, DateTimeOffset.UnixEpoch)).ToList();
            doubtful = await CatalogPages.MarkAsync(connection, transaction, rebuild, page, asked, default);
            await transaction.CommitAsync();
        }

        doubtful.Order(StringComparer.Ordinal).ShouldBe(["mark/gone-after", "mark/other-after"]);
        (await pipeline.EntryAsync("mark/gone-before")).ShouldBe("9");
        (await pipeline.EntryAsync("mark/gone-after")).ShouldBe("gone");
        (await pipeline.EntryAsync("mark/other-before")).ShouldBe("9");
        (await pipeline.EntryAsync("mark/other-after")).ShouldBe("1");
        (await pipeline.EntryAsync("mark/new")).ShouldBe("9");

        // The sweep leaves what was seen, and what was decided since the rebuild began.
        await pipeline.AskAsync(
            """
            insert into pipeline.catalog_entries (key, size, etag, last_modified, first_seen, changed_at) values
                ('mark/unseen-old', 1, 'e', now(), now(), $1 - interval '1 second'),
                ('mark/unseen-new', 1, 'e', now(), now(), $1 + interval '1 second') returning 1
            """,
            asked
        );
        await using (var connection = await pipeline.Database.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await CatalogPages.SweepAsync(connection, transaction, rebuild, "mark/", 1_000, asked, default);
            await transaction.CommitAsync();
        }

        (await pipeline.EntryAsync("mark/unseen-old")).ShouldBeNull();
        (await pipeline.EntryAsync("mark/unseen-new")).ShouldBe("1");
        (await pipeline.EntryAsync("mark/other-after")).ShouldBe("1");
        await pipeline.AskAsync("delete from pipeline.catalog_entries where key like 'mark/%' returning 1");
    }

    private async Task<string> CancelAsync(Guid rebuild)
    {
        var command = new CancelRebuild(Guid.NewGuid(), rebuild);
        return await pipeline.AnswerAsync(command, command.CommandId);
    }

    private async Task<DateTimeOffset> NowAsync()
    {
        await using var command = pipeline.Database.CreateCommand("select clock_timestamp()");
        return new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync())!, TimeSpan.Zero);
    }
}
