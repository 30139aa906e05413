using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>What careless programs write, in every property of every command.</summary>
public sealed class ContractFuzzTests : Stack
{
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [("Importing__Retries", "0"), ("Importing__AllowPrivateNetworks", "true")];

    [Fact]
    public async Task Any_text_in_any_property_ends_in_a_receipt_and_nothing_is_a_dead_letter_without_one()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var sent = new Dictionary<Guid, (string What, bool IsRejected)>();
        foreach (var contract in MessageCatalog.Public.Where(x => x.IsCommand))
        foreach (var (what, isRejected, json, id) in Mutations(contract))
        {
            await client.PublishAsync(contract.Name, RoutingKeyOf(json), json, id.ToString(), contract.Name);
            sent.Add(id, ($"{contract.Name}: {what}", isRejected));
        }

        sent.Count.ShouldBeGreaterThan(300);
        await UntilAsync(
            "a receipt of each",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.receipts where command_id = any($1)",
                    sent.Keys.ToArray()
                ) == sent.Count
        );
        var outcomes = (
            await RowsAsync(
                "select command_id, outcome, coalesce(reason, '') from status.receipts",
                x => (Id: x.GetGuid(0), Outcome: x.GetString(1), Reason: x.GetString(2))
            )
        ).ToDictionary(x => x.Id);
        sent.Where(x => x.Value.IsRejected && outcomes[x.Key].Outcome != "rejected")
            .Select(x => $"{x.Value.What} is {outcomes[x.Key].Outcome}: {outcomes[x.Key].Reason}")
            .ShouldBeEmpty();
        var letters = sent.Keys.Count(x => outcomes[x].Outcome is "rejected" or "failed");
        (await this.DeadLetterCountAsync()).ShouldBeLessThanOrEqualTo(letters);
    }

    /// <summary>Bodies with one thing each that a careless program writes, under ids of their own.</summary>
    private static IEnumerable<(string What, bool IsRejected, string Json, Guid Id)> Mutations(MessageContract contract)
    {
        (string What, bool IsRejected, string Escapes)[] texts =
        [
            ("U+0000", true, "a\\u0000b"),
            ("a lone surrogate", true, "a\\ud800b"),
            ("U+FFFE", false, "a\\ufffeb"),
            ("ESC", false, "a\\u001b[31mb"),
            ("a bidi control", false, "a\\u202eb"),
            ("overlong", false, new string('x', 40_000)),
        ];
        foreach (var (property, schema) in contract.Schema()["properties"]!.AsObject())
        {
            var type = schema!["type"]!.ToJsonString();
            if (property == "commandId")
                continue;
            if (type.Contains("\"string\"", StringComparison.Ordinal))
            {
                foreach (var (what, isRejected, escapes) in texts)
                    yield return With($"{property} with {what}", isRejected, property, $"\"{escapes}\"");
            }
            else if (type.Contains("\"object\"", StringComparison.Ordinal))
            {
                yield return With($"{property}, a value with U+0000", true, property, """{"a":"x\u0000"}""");
                yield return With($"{property}, a name with U+0000", true, property, """{"a\u0000":"x"}""");
                yield return With($"{property}, a name twice", true, property, """{"a":"x","a":"y"}""");
                yield return With($"{property}, two spellings", false, property, """{"a":"x","A":"y"}""");
            }
            else if (type.Contains("\"array\"", StringComparison.Ordinal))
                yield return With($"{property}, an item with U+0000", true, property, """["x\u0000"]""");
            else if (type.Contains("\"integer\"", StringComparison.Ordinal))
            {
                foreach (var number in new[] { "-1", "2147483648", "1e400", "1.5" })
                    yield return With($"{property} is {number}", IsRejected(number), property, number);
            }

            yield return Twice(property);
        }

        var (_, _, json, id) = With("as it is", false, "commandId", null);
        if (contract.Name != "reconcile") // A whole bucket would be read.
            yield return ("a byte order mark", false, "\uFEFF" + json, id);

        // No property takes a fraction, or more than 64 bits.
        bool IsRejected(string number) => number is "1e400" or "1.5";

        (string, bool, string, Guid) With(string what, bool isRejected, string property, string? value)
        {
            var message = new ForeignMessage(contract);
            message.Body[property] = value is null ? message.Body[property]?.DeepClone() : "PLACEHOLDER";
            var text = message.Body.ToJsonString(WireJson.Options);
            return (what, isRejected, text.Replace("\"PLACEHOLDER\"", value), message.CommandId);
        }

        (string, bool, string, Guid) Twice(string property)
        {
            var message = new ForeignMessage(contract);
            var value = message.Body[property]?.ToJsonString(WireJson.Options) ?? "null";
            message.Body.Remove(property);
            var text = message.Body.ToJsonString(WireJson.Options)[..^1];
            return (
                $"{property} twice",
                true,
                $"{text},\"{property}\":{value},\"{property}\":{value}}}",
                message.CommandId
            );
        }
    }

    // As text: a mutation need not be JSON that can be parsed.
    private static string RoutingKeyOf(string json)
    {
        const string Name = "\"projectId\":\"";
        var start = json.IndexOf(Name, StringComparison.Ordinal);
        return start < 0 || json.Length < start + Name.Length + 36 ? "" : json.Substring(start + Name.Length, 36);
    }
}
