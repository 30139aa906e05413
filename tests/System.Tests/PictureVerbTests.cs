using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>The operator's verbs for pictures: the publisher's real program beside a real worker.</summary>
public sealed class PictureVerbTests : DeletionStack
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.png");

    // Deletions can be taken back within the test.
    private protected override string GracePeriod => "01:00:00";

    private protected override string UrlSweepEvery => "00:00:00.100";

    public override async Task DisposeAsync()
    {
        File.Delete(_file);
        await base.DisposeAsync();
    }

    [Fact]
    public async Task Urls_are_shown_refreshed_and_changed_by_a_replacement_and_a_refused_purge_is_gone_on_with()
    {
        HostWorker("worker-1");
        var (project, image) = await ShownAsync("first");
        await UntilAsync("its URLs", async () => await UrlsAsync(image) == 2);

        var before = await DoneAsync("urls", $"{image}", "--json");
        List<JsonElement> refresh = [];
        List<JsonElement> after = [];
        await UntilAsync(
            "other URLs: a signature of the same second is the same",
            async () =>
            {
                refresh = await DoneAsync("refresh-urls", $"{image}", "--force", "--wait", "60", "--json");
                after = await DoneAsync("urls", $"{project}", "--json");
                return UrlOf(after[0]) != UrlOf(before[0]);
            }
        );

        refresh[0].GetProperty("confirmed").GetBoolean().ShouldBeTrue();
        (await OutcomeAsync(refresh[0].GetProperty("commandId").GetGuid())).ShouldBe("applied");
        UrlOf(before[0]).ShouldStartWith(Store.Url);
        (await DoneAsync("urls", "--json"))[0].GetProperty("health").GetProperty("urls").GetInt64().ShouldBe(2);

        // Other bytes, while the store does not let go of the earlier ones.
        Store.LockedKey = KeyOf(project, image, "first");
        await File.WriteAllBytesAsync(_file, TinyFiles.Png(5, 4));
        var import = (await DoneAsync("replace", $"{image}", _file, "--json"))[0].GetProperty("commandId").GetGuid();
        await UntilAsync("the replacement", async () => await FollowUpAsync(import) == "applied");
        await UntilAsync("its URLs", async () => await UrlsAsync(image) == 2);
        var replaced = await DoneAsync("urls", $"{image}", "--json");
        replaced[0].GetProperty("version").GetInt32().ShouldBe(2);
        using (var client = new HttpClient())
            (await client.GetByteArrayAsync(UrlOf(replaced[0]))).ShouldBe(TinyFiles.Png(5, 4));

        // The earlier bytes stay while their URLs work; let these have expired.
        await ScalarAsync<Guid>(
            "update pipeline.deletions set due_at = now() where kind = 'object' returning correlation_id"
        );
        await UntilAsync(
            "the purge is given up",
            async () => await ScalarAsync<long>("select count(*) from status.deletions where state = 'Failed'") == 1
        );
        var failed = (await DoneAsync("deletions", "--failed", "--json")).ShouldHaveSingleItem();
        var id = $"{failed.GetProperty("id").GetGuid()}";
        failed.GetProperty("failureReason").GetString().ShouldNotBeNull().ShouldContain("AccessDenied");
        (await RunAsync("deletions", id)).Out.ShouldContain(KeyOf(project, image, "first"));
        Store.LockedKey = null;
        await DoneAsync("retry-deletion", id, "--json");
        await UntilAsync(
            "its end",
            async () => await ScalarAsync<long>("select count(*) from status.deletions where state = 'Completed'") == 1
        );
        (await DoneAsync("deletions", "--failed", "--json")).ShouldBeEmpty();
        await ShouldBeCleanAsync();
    }

    [Fact]
    public async Task Picture_and_project_are_deleted_and_restored_under_the_ids_that_the_sender_chose()
    {
        HostWorker("worker-1");
        var (project, image) = await ShownAsync("first");
        var command = Guid.NewGuid();

        var sent = await DoneAsync("delete", $"{image}", "--command", $"{command}", "--json");
        await UntilAsync("the tombstone", async () => await StateAsync(image) == "deleted");
        await DoneAsync("delete", $"{image}", "--command", $"{command}", "--json");
        var second = await DoneAsync("delete", $"{image}", "--json");
        await UntilAsync("the second answer", async () => await OutcomeAsync(IdOf(second)) == "unchanged");

        IdOf(sent).ShouldBe(command);
        (await OutcomeAsync(command)).ShouldBe("applied");
        var deletion = (await DoneAsync("deletions", "--project", $"{project}", "--json")).ShouldHaveSingleItem();
        deletion.GetProperty("state").GetString().ShouldBe("Tombstoned");
        (await RunAsync("urls", $"{image}")).ShouldFailWith(1, "is deleted");

        await DoneAsync("restore", $"{image}", "--json");
        await UntilAsync("it is back", async () => await StateAsync(image) == "shown");
        await DoneAsync("delete", "--project", $"{project}", "--json");
        await UntilAsync("the project is gone", async () => await ProjectsAsync() == 0);
        await DoneAsync("restore", "--project", $"{project}", "--json");
        await UntilAsync("the project is back", async () => await ProjectsAsync() == 1);
        (await StateAsync(image)).ShouldBe("shown");
        await ShouldBeCleanAsync();
    }

    [Fact]
    public async Task What_cannot_be_says_why_and_a_broker_that_is_away_changes_nothing()
    {
        HostWorker("worker-1");
        var (_, image) = await ShownAsync("first");
        var nobody = $"{Guid.NewGuid()}";

        foreach (
            var args in new[] { "urls ?", "refresh-urls ?", "delete ?", "restore ?", "deletions ?", "retry-deletion ?" }
        )
            (await RunAsync(args.Replace("?", nobody, StringComparison.Ordinal).Split(' '))).ShouldFailWith(1, nobody);
        (await RunAsync("replace", nobody, "https://example.org/kite.png")).ShouldFailWith(1, nobody);
        (await RunAsync("replace", $"{image}", _file)).ShouldFailWith(2, _file);
        (await RunAsync("delete")).ShouldFailWith(2, "--project");
        (await RunAsync("delete", $"{image}", "--command", $"{Guid.Empty}")).ShouldFailWith(2, "--command");
        (await RunAsync("refresh-urls", "--due", "--force")).ShouldFailWith(2, "--force");
        (await RunAsync("deletions", "--limit", "0")).ShouldFailWith(2, "--limit");

        var away = new Dictionary<string, string>(PublisherSettings, StringComparer.Ordinal)
        {
            ["Publisher__RabbitMq"] = new UriBuilder(Broker) { Port = 9 }.Uri.ToString(),
        };
        await File.WriteAllBytesAsync(_file, TinyFiles.Png(5, 4));
        var runs = await Task.WhenAll(
            VerbRun.RunAsync(away, "delete", $"{image}"),
            VerbRun.RunAsync(away, "replace", $"{image}", _file),
            VerbRun.RunAsync(away, "refresh-urls", $"{image}")
        );
        foreach (var run in runs)
            run.ShouldFailWith(1, "RabbitMQ does not answer");
        (await VerbRun.RunAsync(away, "urls", $"{image}")).ExitCode.ShouldBe(0); // It only reads.
        (await StateAsync(image)).ShouldBe("shown");
        (await ScalarAsync<long>("select count(*) from status.receipts")).ShouldBe(1); // The save's.
    }

    private Task<long> UrlsAsync(Guid image) =>
        ScalarAsync<long>("select count(*) from status.image_urls where image_id = $1", image);

    private Task<long> ProjectsAsync() => ScalarAsync<long>("select count(*) from status.projects");

    private Task<VerbRun> RunAsync(params string[] args) => VerbRun.RunAsync(this, args);

    /// <summary>Runs a verb that must succeed.</summary>
    private async Task<List<JsonElement>> DoneAsync(params string[] args)
    {
        var run = await RunAsync(args);
        run.ExitCode.ShouldBe(0, $"{string.Join(' ', args)}: {run.Error}");
        return run.Objects();
    }

    private static Guid IdOf(List<JsonElement> sent) => sent[0].GetProperty("commandId").GetGuid();

    private static string UrlOf(JsonElement picture) =>
        picture.GetProperty("urls").GetProperty("image").GetProperty("url").GetString().ShouldNotBeNull();
}

/// <summary>A verb that could not do what was asked.</summary>
internal static class FailedVerb
{
    /// <summary>It ends with this status, prints nothing, and says why in a few lines, without a stack trace.</summary>
    public static void ShouldFailWith(this VerbRun run, int status, string reason)
    {
        run.ExitCode.ShouldBe(status, run.Error);
        run.Out.Trim().ShouldBeEmpty();
        run.Error.ShouldContain(reason, Case.Insensitive);
        run.Error.ShouldNotContain("   at ");
    }
}
