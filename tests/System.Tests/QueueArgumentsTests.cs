using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// Every queue of the pipeline, as the broker lists it once a worker consumes: none loses a dead letter, none grows
/// without bound.
/// </summary>
public sealed class QueueArgumentsTests : Stack
{
    private const int Lanes = 8;

    private const long Gibibyte = 1L << 30;

    /// <summary>Arguments by the kind of a queue, which its name tells.</summary>
    private static readonly (
        string Kind,
        Func<string, bool> Is,
        Func<string, SortedDictionary<string, string>> Of
    )[] Kinds =
    [
        ("dead letters", IsDeadLetters, _ => Quorum(deliveryLimit: 1_000_000_000)),
        (
            "lane",
            x => x.StartsWith("project-lane-", StringComparison.Ordinal),
            x => new SortedDictionary<string, string>(Work(x, deliveryLimit: 1000), StringComparer.Ordinal)
            {
                ["x-single-active-consumer"] = "true",
            }
        ),
        ("work", _ => true, x => Work(x, deliveryLimit: 20)),
    ];

    [Fact]
    public async Task Every_queue_has_the_arguments_of_its_kind()
    {
        HostWorker("worker");
        await UntilAsync(
            "the worker holds the lanes",
            async () => await ScalarAsync<long>("select count(*) from status.lanes where held") == Lanes
        );

        var queues = await QueuesAsync();

        var kinds = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (name, arguments) in queues)
        {
            var (kind, _, expected) = Kinds.First(x => x.Is(name));
            kinds[kind] = kinds.GetValueOrDefault(kind) + 1;
            arguments.ShouldBe(expected(name), name);
        }

        kinds["lane"].ShouldBe(Lanes);
        kinds["work"].ShouldBeGreaterThan(15);
        kinds["dead letters"].ShouldBe(3 * (kinds["lane"] + kinds["work"]));
    }

    private static bool IsDeadLetters(string queue) =>
        new[] { "_error", "_skipped", "_parked" }.Any(x => queue.EndsWith(x, StringComparison.Ordinal));

    private static SortedDictionary<string, string> Quorum(int deliveryLimit) =>
        new(StringComparer.Ordinal) { ["x-queue-type"] = "quorum", ["x-delivery-limit"] = $"{deliveryLimit}" };

    private static SortedDictionary<string, string> Work(string queue, int deliveryLimit) =>
        new(Quorum(deliveryLimit), StringComparer.Ordinal)
        {
            ["x-dead-letter-exchange"] = $"{queue}_error",
            ["x-dead-letter-strategy"] = "at-least-once",
            ["x-max-length-bytes"] = $"{Gibibyte}",
            ["x-overflow"] = "reject-publish",
        };

    /// <summary>All but MassTransit's queue for answers, which belongs to one process.</summary>
    private async Task<Dictionary<string, SortedDictionary<string, string>>> QueuesAsync()
    {
        using var management = new BrokerManagement();
        var path = $"/api/queues{Broker.AbsolutePath}?columns=name,arguments";
        using var queues = JsonDocument.Parse(await management.GetAsync(path));
        return queues
            .RootElement.EnumerateArray()
            .Select(x => (Name: x.GetProperty("name").GetString()!, Arguments: x.GetProperty("arguments")))
            .Where(x => !x.Name.Contains("_bus_", StringComparison.Ordinal))
            .ToDictionary(
                x => x.Name,
                x => new SortedDictionary<string, string>(
                    x.Arguments.EnumerateObject().ToDictionary(y => y.Name, y => Text(y.Value), StringComparer.Ordinal),
                    StringComparer.Ordinal
                ),
                StringComparer.Ordinal
            );
    }

    private static string Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
