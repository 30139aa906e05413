using System.Text;
using Microsoft.AspNetCore.Http;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Storyboards;
using Pipeline.Wire;

namespace Pipeline.SystemTests.Harness;

/// <summary>A project that has left a canary wherever a prompt can appear, and another project beside it.</summary>
public class ErasureStack : DeletionStack
{
    private const string Model = "scripted";

    private ScriptedProvider _provider = null!;
    private WebhookReceiver _receiver = null!;

    internal Canary Canary { get; } = new();

    internal Guid Project { get; } = Guid.NewGuid();

    /// <summary>Its content has another text, which has to stay.</summary>
    internal Guid Other { get; } = Guid.NewGuid();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. base.WorkerSettings,
            .. _provider.SettingsOf(Model),
            ("Generation__AttemptLimit", "1"),
            ("Generation__SweepEvery", "00:00:00.050"),
            ("Webhooks__AllowPrivateNetworks", "true"), // The receiver is on loopback.
            ("Webhooks__SweepEvery", "00:00:00.1"),
        ];

    public override async Task InitializeAsync()
    {
        _provider = await ScriptedProvider.StartAsync();
        _receiver = new WebhookReceiver(_ => Task.FromResult(503)) { Secret = "whsec_" };
        await _receiver.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _receiver.DisposeAsync();
        await _provider.DisposeAsync();
    }

    /// <summary>Has the workers write the canary wherever it can get; needs a worker.</summary>
    internal async Task PlantAsync()
    {
        await SubscribeAsync();
        await GenerateAsync();
        await BreakRulesAsync();
        await PlantDeadLettersAsync();
        await PlantUploadAsync();
    }

    private async Task SubscribeAsync()
    {
        string[] all = ["webhooks", "add", $"{_receiver.Url}", "--json"];
        var run = await VerbRun.RunAsync(this, all);
        if (run.ExitCode != 0)
            throw new InvalidOperationException(run.Error);
        await UntilAsync(
            "the subscription",
            async () => await ScalarAsync<long>("select count(*) from status.webhook_subscriptions") == 1
        );
    }

    /// <summary>Scenes, an image that is shown, and a generation that fails.</summary>
    private async Task GenerateAsync()
    {
        var text = Canary.Text;
        _provider.Script(Model, call => call.Response.WriteAsync(CanaryRequests.PictureWith(text)));
        _provider.Script($"refused {text}", CanaryRequests.Refuse(text));
        var scenes = new DefineScenes(Guid.NewGuid(), Project, [new SceneDefinition($"scene-{text}", 1, text)]);
        var again = scenes with { Scenes = [new SceneDefinition("scene-1", 1, $"other {text}")] };
        var good = CanaryRequests.Ask(Model, Project, text) with { SceneId = $"scene-{text}" };
        var bad = CanaryRequests.Ask(Model, Project, $"refused {text}");
        var story = new GenerateStoryboard(
            Guid.NewGuid(),
            Project,
            SceneIds: null,
            ImagesPerScene: 1,
            Model,
            Width: 64,
            Height: 64,
            Options: null,
            Deadline: null,
            Force: false
        );
        await SendAsync(scenes.ToWire(), again.ToWire()); // The second one comes under a used id.
        await UntilAsync("the scene", async () => await ScalarAsync<long>("select count(*) from pipeline.scenes") == 1);
        await SendAsync(good.ToWire(), bad.ToWire(), WireMessage.Command(story, story.CommandId, Project));
        await UntilAsync(
            "images, a failure and a conflict",
            async () =>
                await ScalarAsync<long>(
                    """
                    select count(*) from status.receipts
                    where command = 'generate-image' and outcome in ('applied', 'rejected')
                    """
                ) == 3
                && await ScalarAsync<long>("select count(*) from status.receipt_conflicts") == 1
                && await ScalarAsync<long>("select count(*) from status.image_urls") > 0
        );
        await UntilAsync(
            "webhooks about the failure",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.webhook_deliveries where body like $1",
                    $"%{text}%"
                ) > 0
        );
    }

    /// <summary>Bodies that break a rule lie in the dead letters of a lane and of a work queue, and are quoted.</summary>
    private async Task BreakRulesAsync()
    {
        await using var client = await RawClient.ConnectAsync(Broker);
        foreach (var project in new[] { Other, Project, Other })
        {
            var text = project == Project ? Canary.Text : "of another project";
            foreach (var command in new[] { "save-image", "generate-image" })
            {
                var id = $"{Guid.NewGuid()}";
                var body = $$"""{"commandId":"{{id}}","projectId":"{{project}}","prompt":"{{text}}"}""";
                await client.PublishAsync(command, $"{project}", body, id, command);
            }
        }

        var unknown = new GenerateStoryboard(
            Guid.NewGuid(),
            Project,
            [Canary.Text],
            ImagesPerScene: 1,
            Model,
            Width: 64,
            Height: 64,
            Options: null,
            Deadline: null,
            Force: false
        );
        await SendAsync(WireMessage.Command(unknown, unknown.CommandId, Project)); // Its reason quotes the scene.
        await UntilAsync(
            "dead letters and the reason",
            async () =>
                await MessagesAsync("generate-image_error") == 3
                && await this.LaneLettersAsync() == 3
                && await OutcomeAsync(unknown.CommandId) == "rejected"
        );
    }

    /// <summary>What only an id of a generation leads to, what a person has put aside, and what nobody wanted.</summary>
    private async Task PlantDeadLettersAsync()
    {
        var generation = await ScalarAsync<Guid>("select id from status.generations where prompt = $1", Canary.Text);
        await using var client = await RawClient.ConnectAsync(Broker);
        var render = $$"""{"generationId":"{{generation}}","attempt":1,"prompt":"{{Canary.Text}}"}""";
        await client.PublishAsync("render-image_error", "", render, $"{Guid.NewGuid()}", "render-image");
        var broken = $$"""{"projectId": "{{Project.ToString().ToUpperInvariant()}}", "prompt": "{{Canary.Text}} """;
        await client.PublishAsync("import-image_skipped", "", broken, $"{Guid.NewGuid()}", "import-image");
        var inner = Convert.ToBase64String(Encoding.UTF8.GetBytes($$"""{"projectId":"{{Project}}"}"""));
        var cloud = $$"""{"specversion":"1.0","x":"{{Canary.Text}}","data_base64":"{{inner}}"}""";
        await client.PublishAsync("generate-image_parked", "", cloud, $"{Guid.NewGuid()}", "generate-image");
        await this.ExecuteAsync(
            $"""
            insert into pipeline.dead_letter_actions
                (action_id, run_id, action, queue, project_id, replays, done_by, reason, begun_at, done_at)
            values (gen_random_uuid(), gen_random_uuid(), 'park', 'generate-image_error', '{Project}', 0, 'jane',
                    'what is {Canary.Text}?', now(), now())
            """
        );
    }

    /// <summary>The upload of an import that has failed and waits for its replay.</summary>
    private async Task PlantUploadAsync()
    {
        var key = $"uploads/{Guid.NewGuid()}";
        await Bucket.PutAsync(key, Encoding.UTF8.GetBytes(Canary.Text));
        await this.ExecuteAsync(
            $"""
            with failed as (
                insert into pipeline.receipts
                    (command_id, scope, project_id, command, request_hash, outcome, reason, announcements, at)
                values (gen_random_uuid(), '{Project}', '{Project}', 'import-image', '\x00', 'failed', '{Canary.Text}', '[]',
                    now())
                returning command_id)
            insert into pipeline.import_sources (key, project_id, command_id, begun_at)
            select '{key}', '{Project}', command_id, now() from failed
            """
        );
    }
}
