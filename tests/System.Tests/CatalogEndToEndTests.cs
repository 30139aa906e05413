using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>The catalogue as people and services use it: the command line, the HTTP API and SQL, all of them real.</summary>
public sealed class CatalogEndToEndTests : CatalogStack
{
    /// <summary>What an encoder somewhere on the way could spoil; the last one has 1,024 bytes.</summary>
    private static readonly string[] AwkwardKeys =
    [
        "a key with spaces.jpg",
        "ünïcödé/日本語🎉.png",
        "a+b=c&d.jpg",
        "100%2F100%.jpg",
        "quote\"back\\slash'.jpg",
        string.Concat(Enumerable.Repeat("é", 510)) + ".jpg",
    ];

    [Fact]
    public async Task Objects_are_recorded_and_forgotten_on_the_command_line_and_twice_is_one_row()
    {
        HostWorker("worker");
        await Bucket.PutAsync("14000.jpg", [1, 2, 3]);
        foreach (var key in AwkwardKeys)
            await Bucket.PutAsync(key, [1]);

        (await RunAsync("record-object", "14000.jpg")).ShouldBe("applied");
        (await RunAsync("record-object", "14000.jpg")).ShouldBe("unchanged");
        foreach (var key in AwkwardKeys)
            (await RunAsync("record-object", key)).ShouldBe("applied", key);
        (await RunAsync("record-object", "not-there.jpg")).ShouldBe("target-missing");
        (await ListedAsync()).ShouldBe(["14000.jpg", .. AwkwardKeys], ignoreOrder: true);

        await Bucket.DeleteAsync(AwkwardKeys[^2..]);
        (await RunAsync("forget-object", "14000.jpg")).ShouldBe("superseded");
        foreach (var key in AwkwardKeys[^2..])
            (await RunAsync("forget-object", key)).ShouldBe("applied", key);
        (await ListedAsync()).ShouldBe(["14000.jpg", .. AwkwardKeys[..^2]], ignoreOrder: true);
    }

    [Fact]
    public async Task Awkward_keys_come_through_the_api_and_sql_callers_keep_their_habit()
    {
        HostWorker("worker");
        await using var served = await PublisherProcess.ServeAsync(PublisherSettings);
        using var publisher = new HttpClient { BaseAddress = served.Url };
        foreach (var key in AwkwardKeys.Append("14000.jpg"))
            await Bucket.PutAsync(key, [1]);

        foreach (var objectKey in AwkwardKeys)
        {
            using var told = await publisher.PostAsJsonAsync("/catalog/record", new { objectKey });
            told.EnsureSuccessStatusCode();
        }

        await using (var application = await ApplicationAsync())
        {
            for (var i = 0; i < 2; i++)
            {
                await using var add = application.CreateCommand("select add_file_to_catalog('14000.jpg')");
                ((Guid)(await add.ExecuteScalarAsync())!).ShouldNotBe(Guid.Empty);
            }
        }

        await UntilReceiptsAsync(AwkwardKeys.Length + 2);
        (await ScalarAsync<long>("select count(*) from status.catalog where key = '14000.jpg'")).ShouldBe(1);
        (
            await ScalarAsync<long>("select count(*) from status.receipts where outcome in ('applied', 'unchanged')")
        ).ShouldBe(AwkwardKeys.Length + 2);
        foreach (var key in AwkwardKeys)
        {
            var page = await publisher.GetFromJsonAsync<JsonElement>($"/catalog?prefix={Uri.EscapeDataString(key)}");
            page.GetProperty("entries")[0].GetProperty("key").GetString().ShouldBe(key);
        }
    }

    /// <summary>No command takes such keys; but others may put them, and the catalogue tells what is there.</summary>
    [Fact]
    public async Task Keys_that_no_command_takes_neither_break_a_rebuild_nor_stay_out()
    {
        string[] keys =
        [
            "bell\u0001\u0007.jpg",
            "line\nbreak\ttab.jpg",
            "delete\u007F.jpg",
            "last \uFFFD\U0010FFFF.jpg",
        ];
        foreach (var key in keys)
            await Bucket.PutAsync(key, [1]);
        HostWorker("worker");
        await using var publisher = NewPublisher();

        await RebuildAsync(publisher, during: null);

        (await RowsAsync("select key from status.catalog", x => x.GetString(0))).ShouldBe(keys, ignoreOrder: true);
        foreach (var key in keys) // One by one: the XML of a request for several has no way to write them.
            await Bucket.Client.DeleteObjectAsync(Bucket.Name, key);
    }

    [Fact]
    public async Task Rebuild_is_watched_listed_and_cancelled_on_the_command_line()
    {
        HostWorker("worker");
        await PlantAsync(2);
        foreach (var key in AwkwardKeys)
            await Bucket.PutAsync(key, [1]);

        var watched = await VerbRun.RunAsync(this, "rebuild-catalog", "--watch", "--json");
        watched.ExitCode.ShouldBe(0, watched.Error);
        var receipt = watched.Objects()[^1];
        receipt.GetProperty("outcome").GetString().ShouldBe("applied");
        receipt
            .GetProperty("reason")
            .GetString()!
            .ShouldEndWith($"{AwkwardKeys.Length} objects listed, 2 entries removed.");
        (await ListedAsync()).ShouldBe(AwkwardKeys, ignoreOrder: true);

        var list = await VerbRun.RunAsync(this, "rebuilds", "--json");
        var rebuild = list.Objects().ShouldHaveSingleItem();
        rebuild.GetProperty("state").GetString().ShouldBe("Completed");
        rebuild.GetProperty("pages").GetInt64().ShouldBe(1);
        rebuild.GetProperty("keys").GetInt64().ShouldBe(AwkwardKeys.Length);
        var id = rebuild.GetProperty("id").GetString()!;
        (await RunAsync("cancel-rebuild", id)).ShouldBe("unchanged");
    }

    /// <summary>Runs a verb that sends a command, and waits for its receipt.</summary>
    private async Task<string?> RunAsync(string verb, string argument)
    {
        var run = await VerbRun.RunAsync(this, verb, argument, "--wait", "60", "--json");
        run.Error.ShouldNotContain("Exception");
        return run.Objects()[^1].GetProperty("outcome").GetString();
    }

    private async Task<List<string?>> ListedAsync()
    {
        var run = await VerbRun.RunAsync(this, "catalog", "--json");
        return [.. run.Objects().Select(x => x.GetProperty("key").GetString())];
    }

    /// <summary>A role that may do nothing here but call the function, once it is granted as docs/catalog.md says.</summary>
    private async Task<NpgsqlDataSource> ApplicationAsync()
    {
        var login = new NpgsqlConnectionStringBuilder(PublisherSettings["ConnectionStrings__Status"]);
        await using var grant = Database.CreateCommand(
            $"""
            grant usage on schema public to {login.Username};
            grant execute on function public.add_file_to_catalog(text) to {login.Username};
            """
        );
        await grant.ExecuteNonQueryAsync();
        return NpgsqlDataSource.Create(login.ConnectionString);
    }
}
