// Has the pictures of a storyboard generated, follows them to their end and reads the receipts; with RabbitMQ.Client alone.
//
// usage: dotnet run [STORYBOARD.json]
//
// Needs two settings:
//   PIPELINE_BROKER  amqp://user:password@host:port/pipeline
//   PIPELINE_API     the publisher's HTTP API, such as http://127.0.0.1:17080
// The exit status is 0 only when every picture is saved.
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using PipelineExamples;
using RabbitMQ.Client.Exceptions;

try
{
    await RunAsync(args.Length > 0 ? args[0] : "samples/storyboard.json");
    return 0;
}
catch (Exception e)
    when (e is FailedException or IOException or JsonException or RabbitMQClientException or HttpRequestException)
{
    await Console.Error.WriteLineAsync($"error: {e.Message}");
    return 1;
}

static async Task RunAsync(string path)
{
    var storyboard = JsonNode.Parse(await File.ReadAllTextAsync(path))!;
    using var api = new HttpClient { BaseAddress = new Uri(Setting("PIPELINE_API")) };
    await using var pipeline = await PipelineClient.ConnectAsync(new Uri(Setting("PIPELINE_BROKER")), Guid.NewGuid());
    Console.WriteLine($"project {pipeline.ProjectId}");

    // Lane commands of one project are applied in the order of publishing: the second storyboard stands.
    var scenes = storyboard["scenes"]!.AsArray();
    var outline = await pipeline.PublishAsync(
        "define-scenes",
        new JsonObject
        {
            ["scenes"] = new JsonArray([
                .. scenes.Select(x => new JsonObject
                {
                    ["id"] = x!["id"]!.DeepClone(),
                    ["index"] = x["index"]!.DeepClone(),
                }),
            ]),
        }
    );
    var whole = await pipeline.PublishAsync("define-scenes", new JsonObject { ["scenes"] = scenes.DeepClone() });
    // Order holds among lane commands only. generate-storyboard has another queue, so wait until the scenes stand.
    await pipeline.WaitForAsync("scenes-defined", whole);

    var generation = await pipeline.PublishAsync(
        "generate-storyboard",
        new JsonObject
        {
            ["imagesPerScene"] = storyboard["imagesPerScene"]!.DeepClone(),
            ["model"] = "offline-painter",
            ["width"] = 256,
            ["height"] = 256,
        }
    );
    var end = await pipeline.WaitForAsync("storyboard-completed", generation);
    foreach (var id in new[] { outline, whole, generation })
    {
        var receipt = await api.GetFromJsonAsync<JsonElement>($"/projects/{pipeline.ProjectId}/receipts/{id}");
        var (command, outcome) = (receipt.GetProperty("command"), receipt.GetProperty("outcome").GetString());
        Console.WriteLine($"receipt {id}: {command} {outcome} {receipt.GetProperty("reason")}".TrimEnd());
        if (outcome != "applied")
            throw new FailedException($"{command} was not applied");
    }

    Console.WriteLine($"{end.GetProperty("saved")} of {end.GetProperty("requested")} pictures saved");
    var missing = end.GetProperty("missingScenes").EnumerateArray().ToArray();
    if (missing.Length > 0)
        throw new FailedException($"scenes without all their pictures: {string.Join(", ", missing)}");
}

static string Setting(string name) =>
    Environment.GetEnvironmentVariable(name) ?? throw new FailedException($"{name} is not set");
