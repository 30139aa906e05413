using Npgsql;
using Pipeline.Publisher.Settings;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Tests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Status;

public sealed class StatusReadsTests(ScratchServers servers) : IClassFixture<ScratchServers>, IAsyncLifetime
{
    private readonly StatusDatabase _database = new(new PublisherSettings(servers.Configuration).StatusDatabase);
    private readonly Guid _project = Guid.NewGuid();

    public Task InitializeAsync() => Task.CompletedTask;

    // Before the database is dropped: the workers' role may not end the sessions of the publisher's.
    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Document_has_the_scenes_in_order_and_names_those_without_a_picture()
    {
        await servers.ProjectAsync(_project, version: 7);
        await servers.SceneAsync(_project, "second", 20);
        await servers.SceneAsync(_project, "first", 3);
        var late = await servers.ImageAsync(_project, "second", slot: 1);
        var early = await servers.ImageAsync(_project, "second", slot: 0);

        var document = await new ProjectReads(_database).DocumentAsync(_project, CancellationToken.None);

        document.ShouldNotBeNull().Version.ShouldBe(7);
        var storyboard = document.Read();
        storyboard.Scenes.Select(x => (x.Id, x.Index)).ShouldBe([("first", 3), ("second", 20)]);
        storyboard.Scenes[1].ImageUrls.ShouldBe([$"/images/{early}/1", $"/images/{late}/1"]);
        storyboard.Missing.ShouldBe(["first"]);
    }

    [Fact]
    public async Task Second_picture_in_a_slot_is_a_duplicate_and_a_waiting_one_is_none()
    {
        await servers.ProjectAsync(_project, version: 1);
        foreach (var slot in new[] { 0, 0, 0, 1 })
            await servers.ImageAsync(_project, "s", slot);
        await servers.ImageAsync(_project, "s", slot: 1, isShown: false);

        (await new ProjectReads(_database).DuplicatesAsync(_project, CancellationToken.None)).ShouldBe(2);
    }

    [Fact]
    public async Task Project_is_shown_whole_with_what_waits_and_why()
    {
        await servers.ProjectAsync(_project, version: 4);
        await servers.SceneAsync(_project, "s", 1);
        await servers.ImageAsync(_project, "s", slot: 0);
        var waiting = await servers.ImageAsync(_project, "later", slot: 0, isShown: false);
        await servers.ReceiptAsync(_project, "applied");
        await servers.ReceiptAsync(_project, "target-missing");
        await servers.ReceiptAsync(_project, "applied");

        var result = await Cli.RunAsync(servers.Configuration, "status", _project.ToString());

        result.Status.ShouldBe(0, result.Error);
        result.Lines[0].ShouldContain("version 4");
        result.Lines.ShouldContain("1      s      1", StringComparer.Ordinal);
        result.Lines.ShouldContain("scenes without a picture: none", StringComparer.Ordinal);
        result.Lines.ShouldContain(
            $"  {waiting}  scene later slot 0 waits for its scene and object",
            StringComparer.Ordinal
        );
        result.Lines.ShouldContain("receipts: 2 applied, 1 target-missing", StringComparer.Ordinal);
    }

    [Fact]
    public async Task Watching_ends_when_nothing_is_missing()
    {
        await servers.ProjectAsync(_project, version: 1);
        await servers.SceneAsync(_project, "s", 1);

        var watching = Cli.RunAsync(servers.Configuration, "status", _project.ToString(), "--watch", "--json");
        await servers.ImageAsync(_project, "s", slot: 0);
        var result = await watching.WaitAsync(TimeSpan.FromSeconds(30));

        result.Status.ShouldBe(0, result.Error);
        result.Lines[^1].ShouldContain("\"missing\":[]");
    }

    [Fact]
    public async Task Receipts_are_found_by_command_and_by_project_and_by_outcome()
    {
        var command = await servers.ReceiptAsync(_project, "rejected");
        await servers.ReceiptAsync(_project, "applied");

        (await Cli.RunAsync(servers.Configuration, "receipts", command.ToString(), "--json")).Lines.Length.ShouldBe(1);
        (await Cli.RunAsync(servers.Configuration, "receipts", _project.ToString(), "--json")).Lines.Length.ShouldBe(2);
        var rejected = await Cli.RunAsync(
            servers.Configuration,
            "receipts",
            _project.ToString(),
            "--outcome",
            "rejected",
            "--json"
        );
        rejected.Lines.ShouldHaveSingleItem().ShouldContain(command.ToString());
    }

    [Fact]
    public async Task Receipt_that_comes_while_waiting_is_shown()
    {
        var command = Guid.NewGuid();

        var waiting = Cli.RunAsync(servers.Configuration, "receipts", command.ToString(), "--wait", "30");
        waiting.IsCompleted.ShouldBeFalse();
        await servers.ReceiptAsync(_project, "applied", command);
        var result = await waiting;

        result.Status.ShouldBe(0, result.Error);
        result.Out.ShouldContain("because");
    }

    [Fact]
    public async Task Receipt_that_does_not_come_fails()
    {
        var result = await Cli.RunAsync(servers.Configuration, "receipts", Guid.NewGuid().ToString(), "--wait", "1");

        result.Status.ShouldBe(1);
        result.Error.ShouldContain("There is no receipt");
    }

    [Fact]
    public async Task Project_that_is_not_there_fails()
    {
        var result = await Cli.RunAsync(servers.Configuration, "status", _project.ToString());

        result.Status.ShouldBe(1);
        result.Error.ShouldContain($"There is no project {_project}");
    }

    [Fact]
    public async Task Lanes_show_their_holders_and_fail_while_one_has_none()
    {
        var worker = Guid.NewGuid();
        await servers.SqlAsync(
            "insert into pipeline.workers values ($1, 'anna', now(), now() + interval '1 hour')",
            worker
        );
        await servers.SqlAsync(
            "insert into pipeline.lanes values (0, $1, 3, now() + interval '1 hour'), (1, $1, 1, now() - interval '1 s')",
            worker
        );

        var result = await Cli.RunAsync(servers.Configuration, "lanes");

        result.Status.ShouldBe(1);
        result.Out.ShouldContain("2 lanes, 1 held; 1 workers alive; 0 messages wait");
        result.Lines[1].ShouldContain("anna");
        result.Lines[2].ShouldContain("nobody");
    }

    [Theory]
    [InlineData("select 1 from pipeline.projects")]
    [InlineData("delete from status.receipts")]
    [InlineData("create table status.mine (x int)")]
    public async Task Publishers_role_may_read_the_views_and_do_nothing_else(string sql)
    {
        var error = await Should.ThrowAsync<PostgresException>(() =>
            _database.ReadAsync(sql, _ => 0, CancellationToken.None)
        );

        error.SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
    }

    [Theory]
    [InlineData("Host=127.0.0.1;Port=9;Username=a;Password=b", "PostgreSQL does not answer")]
    [InlineData("Host=no-such-host.invalid;Username=a;Password=b", "PostgreSQL does not answer")]
    public async Task Database_that_cannot_be_reached_is_told_in_one_line(string connection, string said)
    {
        var result = await Cli.RunAsync(Cli.Settings(("ConnectionStrings:Status", connection)), "lanes");

        result.Status.ShouldBe(1);
        result.Error.ShouldContain(said);
        result.Error.ShouldNotContain("   at ");
    }
}
