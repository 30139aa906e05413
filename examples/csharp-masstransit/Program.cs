// Has the pictures of a storyboard generated, follows them to their end and reads the receipts; with MassTransit and the
// pipeline's contracts.
//
// usage: dotnet run [STORYBOARD.json]
//
// Needs two settings:
//   PIPELINE_BROKER  amqp://user:password@host:port/pipeline
//   PIPELINE_API     the publisher's HTTP API, such as http://127.0.0.1:17080
// The exit status is 0 only when every picture is saved.
using System.Net.Http.Json;
using System.Text.Json;
using MassTransit;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Storyboards;
using PipelineExamples;
using RabbitMQ.Client.Exceptions;

try
{
    await RunAsync(args.Length > 0 ? args[0] : "samples/storyboard.json");
    return 0;
}
catch (Exception e)
    when (e
            is FailedException
                or IOException
                or JsonException
                or MassTransitException
                or RabbitMQClientException
                or HttpRequestException
    )
{
    await Console.Error.WriteLineAsync($"error: {e.Message}");
    return 1;
}

static async Task RunAsync(string path)
{
    var web = new JsonSerializerOptions(JsonSerializerDefaults.Web);
    var storyboard = JsonSerializer.Deserialize<Storyboard>(await File.ReadAllTextAsync(path), web)!;
    using var api = new HttpClient { BaseAddress = new Uri(Setting("PIPELINE_API")) };
    var project = Guid.NewGuid();
    await using var pipeline = await PipelineBus.StartAsync(new Uri(Setting("PIPELINE_BROKER")), project);
    Console.WriteLine($"project {project}");

    // Lane commands of one project are applied in the order of sending: the second storyboard stands.
    SceneDefinition[] scenes = [.. storyboard.Scenes];
    var outline = new DefineScenes(Guid.NewGuid(), project, [.. scenes.Select(x => x with { Prompt = null })]);
    var whole = new DefineScenes(Guid.NewGuid(), project, scenes);
    await pipeline.SendAsync("define-scenes", outline, outline.CommandId);
    await pipeline.SendAsync("define-scenes", whole, whole.CommandId);
    // Order holds among lane commands only. generate-storyboard has another queue, so wait until the scenes stand.
    await pipeline.WaitForAsync<ScenesDefined>(whole.CommandId, x => x.CommandId);

    var generation = new GenerateStoryboard(
        Guid.NewGuid(),
        project,
        SceneIds: null,
        storyboard.ImagesPerScene,
        "offline-painter",
        Width: 256,
        Height: 256,
        Options: null,
        Deadline: null,
        Force: false
    );
    await pipeline.SendAsync("generate-storyboard", generation, generation.CommandId);
    var end = await pipeline.WaitForAsync<StoryboardCompleted>(generation.CommandId, x => x.CommandId);
    foreach (var id in new[] { outline.CommandId, whole.CommandId, generation.CommandId })
    {
        var receipt = await api.GetFromJsonAsync<Receipt>($"/projects/{outline.ProjectId}/receipts/{id}");
        Console.WriteLine($"receipt {id}: {receipt!.Command} {receipt.Outcome} {receipt.Reason}".TrimEnd());
        if (receipt.Outcome != Pipeline.Contracts.Receipts.Outcomes.Applied)
            throw new FailedException($"{receipt.Command} was not applied");
    }

    Console.WriteLine($"{end.Saved} of {end.Requested} pictures saved");
    if (end.MissingScenes.Count > 0)
        throw new FailedException($"scenes without all their pictures: {string.Join(", ", end.MissingScenes)}");
}

static string Setting(string name) =>
    Environment.GetEnvironmentVariable(name) ?? throw new FailedException($"{name} is not set");
