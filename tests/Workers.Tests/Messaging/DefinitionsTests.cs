using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.SystemTests.Harness;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Messaging;

/// <summary>
/// eng/docker/rabbitmq/definitions.json is what a broker holds once a worker has declared its topology: for those who
/// make their brokers from files, and for people who want to read it.
/// </summary>
public sealed class DefinitionsTests(MigratedStack stack) : IClassFixture<MigratedStack>
{
    private const string Definitions = "eng/docker/rabbitmq/definitions.json";

    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    // Of a definition, in this order; the rest is what the broker adds of itself.
    private static readonly Dictionary<string, string[]> Properties = new(StringComparer.Ordinal)
    {
        ["policies"] = ["name", "pattern", "apply-to", "definition", "priority"],
        ["exchanges"] = ["name", "type", "durable", "auto_delete", "internal", "arguments"],
        ["queues"] = ["name", "durable", "auto_delete", "arguments"],
        ["bindings"] = ["source", "destination", "destination_type", "routing_key", "arguments"],
    };

    [Fact]
    public async Task Definitions_are_what_the_workers_declare()
    {
        using var management = new BrokerManagement();
        foreach (var policy in JsonNode.Parse(SourceTree.Read("eng/docker/rabbitmq/policies.json"))!.AsArray())
            await management.SendAsync(HttpMethod.Put, $"/api/policies{Vhost}/{policy!["name"]}", policy);
        await ConsumingAsync();

        var there = await ExportAsync(management);
        var path = Path.Combine(SourceTree.Root, Definitions);
        if (Environment.GetEnvironmentVariable("PIPELINE_APPROVE") == "1")
            await File.WriteAllTextAsync(path, there);
        (await File.ReadAllTextAsync(path)).ShouldBe(
            there,
            $"{Definitions} is out of date: run this test once with PIPELINE_APPROVE=1, and look at docs/operations.md, 'Reading the management UI'."
        );
    }

    [Fact]
    public async Task Broker_made_from_the_definitions_is_one_that_workers_take_as_it_is()
    {
        using var management = new BrokerManagement();
        var vhost = $"{Vhost}-imported";
        var login = stack.Broker.UserInfo.Split(':')[0];
        await management.SendAsync(HttpMethod.Put, $"/api/vhosts{vhost}");
        try
        {
            await management.GrantAsync(vhost[1..], login, new BrokerUser(login, ".*", ".*", ".*"));
            var definitions = JsonNode.Parse(SourceTree.Read(Definitions));
            await management.SendAsync(HttpMethod.Post, $"/api/definitions{vhost}", definitions);

            // Declaring anything otherwise than it is would be refused (406 PRECONDITION_FAILED).
            var settings = stack.Settings.ToDictionary(StringComparer.Ordinal);
            settings["ConnectionStrings__RabbitMq"] = new UriBuilder(stack.Broker) { Path = vhost }.Uri.ToString();
            await WorkerProcess.MigrateAsync(settings);
        }
        finally
        {
            await management.SendAsync(HttpMethod.Delete, $"/api/vhosts{vhost}");
        }
    }

    [Fact]
    public async Task Operations_page_explains_every_queue()
    {
        var page = SourceTree.Read("docs/operations.md");
        var section = page[page.IndexOf("## Reading the management UI", StringComparison.Ordinal)..];
        var names = await stack.NamesAsync("queues");
        var unexplained = names
            .Select(x => x.StartsWith("project-lane-", StringComparison.Ordinal) ? "project-lane-NN" : x)
            .Where(x => !x.Contains('_', StringComparison.Ordinal))
            .Distinct(StringComparer.Ordinal)
            .Where(x => !section.Contains($"`{x}`", StringComparison.Ordinal));

        names.Count.ShouldBeGreaterThan(20);
        unexplained.ShouldBeEmpty();
    }

    [Fact]
    public void Brokers_of_eng_services_and_of_compose_take_messages_of_the_same_size()
    {
        const string limit = "\nmax_message_size = 16777216\n";

        SourceTree.Read("eng/services.d/rabbitmq.sh").ShouldContain(limit);
        SourceTree.Read("eng/docker/rabbitmq/pipeline.conf").ShouldContain(limit);
    }

    private string Vhost => stack.Broker.AbsolutePath;

    /// <summary>A worker's consumers declare too, and must declare the same.</summary>
    private async Task ConsumingAsync()
    {
        stack.StartWorker("worker");
        await stack.UntilAsync(
            "a held lane",
            () => stack.ScalarAsync<bool>("select exists (select from status.lanes where held)")
        );
    }

    private async Task<string> ExportAsync(BrokerManagement management)
    {
        var all = JsonNode.Parse(await management.GetAsync($"/api/definitions{Vhost}"))!;
        var definitions = new JsonObject();
        foreach (var (kind, properties) in Properties)
        {
            var entries = all[kind]!
                .AsArray()
                .Select(x => new JsonObject(
                    properties.Select(name => KeyValuePair.Create(name, x![name]?.DeepClone()))
                ))
                // MassTransit's queue for answers belongs to one process.
                .Where(x => !x.ToJsonString().Contains("_bus_", StringComparison.Ordinal))
                .Select(x => (Text: x.ToJsonString(), Json: x))
                .OrderBy(x => x.Text, StringComparer.Ordinal)
                .Select(x => (JsonNode)x.Json);
            definitions[kind] = new JsonArray([.. entries]);
        }

        return definitions.ToJsonString(Readable) + "\n";
    }
}
