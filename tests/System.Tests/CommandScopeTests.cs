using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// A command's id counts within its project, or else within its sender: seen for all contracts, so that a new one is
/// held to it.
/// </summary>
public sealed class CommandScopeTests : Stack
{
    private const string CountSql = "select count(*) from status.receipts";

    private const string ScopesSql = """
        select command, count(distinct scope), count(*) from status.receipts group by command
        """;

    // What listeners hear of, and by which id they tell a repetition.
    private const string SharedEventsSql = """
        select count(*) - count(distinct a ->> 'messageId')
        from pipeline.receipts r cross join json_array_elements(r.announcements) as x (a)
        """;

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [("Importing__Retries", "0"), ("Importing__AllowPrivateNetworks", "true")];

    [Fact]
    public async Task The_same_id_in_two_projects_is_two_commands()
    {
        HostWorker("worker");
        await using var client = await RawClient.ConnectAsync(Broker);
        var contracts = MessageCatalog.Public.Where(x => x.IsCommand && x.Requires("projectId")).ToArray();
        contracts.Length.ShouldBeGreaterThanOrEqualTo(10);

        foreach (var contract in contracts)
        {
            var first = new ForeignMessage(contract);
            foreach (var project in new[] { first.ProjectId, Guid.NewGuid() })
            {
                // Also in object keys, and each project has images of its own.
                var body = first.Body.ToJsonString().Replace($"{first.ProjectId}", $"{project}");
                if (project != first.ProjectId && (string?)first.Body["imageId"] is { } image)
                    body = body.Replace(image, $"{Guid.NewGuid()}");
                await client.PublishAsync(contract.Name, $"{project}", body, $"{first.CommandId}", contract.Name);
            }
        }

        await UntilAsync(
            "a receipt in each project",
            async () => await ScalarAsync<long>(CountSql) >= 2 * contracts.Length
        );
        (await ScopesAsync()).ShouldBe(contracts.Select(x => $"{x.Name} 2 2"), ignoreOrder: true);
        (await ScalarAsync<long>(SharedEventsSql)).ShouldBe(0);
        (await ScalarAsync<long>("select count(*) from status.receipt_conflicts")).ShouldBe(0);
    }

    [Fact]
    public async Task The_same_id_of_two_senders_is_two_commands_where_no_project_is_named()
    {
        HostWorker("worker");
        var contracts = MessageCatalog.Public.Where(x => x.IsCommand && !x.Requires("projectId")).ToArray();
        contracts.ShouldNotBeEmpty();
        await using var first = await RawClient.ConnectAsync(await CreateUserAsync("workers"), saysWhoItIs: true);
        await using var second = await RawClient.ConnectAsync(await CreateUserAsync("workers"), saysWhoItIs: true);

        foreach (var contract in contracts)
        {
            var command = new ForeignMessage(contract);
            command.Body.Remove("projectId");
            foreach (var client in new[] { first, second })
            {
                await command.SendAsync(client, ForeignForm.PlainJson);
                await command.SendAsync(client, ForeignForm.PlainJson); // The same once more changes nothing.
            }
        }

        await UntilAsync(
            "a receipt for each sender",
            async () => await ScalarAsync<long>(CountSql) >= 2 * contracts.Length
        );
        await UntilAsync("no message is left", async () => await this.PendingAsync() == 0);
        (await ScopesAsync()).ShouldBe(contracts.Select(x => $"{x.Name} 2 2"), ignoreOrder: true);
        (await RowsAsync("select distinct scope from status.receipts", x => x.GetGuid(0))).ShouldBe(
            [CommandKey.ScopeOf(first.UserId!), CommandKey.ScopeOf(second.UserId!)],
            ignoreOrder: true
        );
    }

    [Fact]
    public async Task Sender_that_a_message_names_in_a_header_is_not_believed()
    {
        HostWorker("worker");
        await using var victim = await RawClient.ConnectAsync(await CreateUserAsync("workers"), saysWhoItIs: true);
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("workers"), saysWhoItIs: true);
        var contracts = MessageCatalog.Public.Where(x => x.IsCommand && !x.Requires("projectId")).ToArray();

        // As a replay by the publisher names the first sender; here with and without the login that the broker checks.
        foreach (var contract in contracts)
        {
            foreach (var login in new[] { client.UserId, null })
            {
                var command = new ForeignMessage(contract);
                command.Body.Remove("projectId");
                await using var raw = await RawClient.ConnectAsync(Broker);
                var from = login is null ? raw : client;
                await from.PublishAsync(
                    contract.Name,
                    "",
                    command.Body.ToJsonString(),
                    $"{command.CommandId}",
                    contract.Name,
                    headers: new(StringComparer.Ordinal) { [WireNames.SenderHeader] = victim.UserId }
                );
            }
        }

        await UntilAsync("a receipt for each", async () => await ScalarAsync<long>(CountSql) >= 2 * contracts.Length);
        (await RowsAsync("select distinct scope from status.receipts", x => x.GetGuid(0))).ShouldBe(
            [CommandKey.ScopeOf(client.UserId!), Guid.Empty],
            ignoreOrder: true
        );
    }

    private Task<List<string>> ScopesAsync() =>
        RowsAsync(ScopesSql, x => $"{x.GetString(0)} {x.GetInt64(1)} {x.GetInt64(2)}");
}
