using System.Text.Json;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>
/// Every command ends in a receipt, whatever becomes of it: seen for all contracts, so that a new one is held to it.
/// </summary>
public sealed class CommandGuaranteeTests : Stack
{
    // What each command writes first, or its usual receipt: all of it is refused for good.
    private const string RefuseSql = """
        create function public.refuse() returns trigger language plpgsql as $$
        begin raise exception 'refused by %', tg_table_name; end $$;
        create trigger refuse before insert on pipeline.receipts
            for each row when (new.outcome <> 'failed') execute function public.refuse();
        create trigger refuse before insert on pipeline.generation_targets
            for each row execute function public.refuse();
        create trigger refuse before insert on pipeline.catalog_rebuild_requests
            for each row execute function public.refuse();
        create trigger refuse before insert on pipeline.reconciliations
            for each row execute function public.refuse();
        """;

    private const string MendSql = "drop function public.refuse() cascade";

    private static readonly MessageContract[] Commands = [.. MessageCatalog.Public.Where(x => x.IsCommand)];

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [("Importing__Retries", "0"), ("Importing__AllowPrivateNetworks", "true")];

    [Fact]
    public async Task Command_that_the_database_refuses_has_failed_and_once_mended_its_replay_is_decided_anew()
    {
        await this.ExecuteAsync(RefuseSql);
        HostWorker("worker");
        // With its name, so that the replay has to find the receipts of this sender.
        await using var client = await RawClient.ConnectAsync(await CreateUserAsync("workers"), saysWhoItIs: true);
        var told = await client.ListenAsync("command-failed");
        var sent = new Dictionary<Guid, string>();
        foreach (var contract in Commands)
        {
            var command = new ForeignMessage(contract);
            await command.SendAsync(client, ForeignForm.PlainJson);
            sent.Add(command.CommandId, $"failed {contract.Name}");
        }

        try
        {
            await UntilReceiptsAsync(sent.Count, TimeSpan.FromSeconds(60));
        }
        catch (TimeoutException)
        {
            // The comparison below names the command that has none.
        }

        var receipts = (
            await RowsAsync(
                "select command_id, concat_ws(' ', outcome, command) from status.receipts",
                x => (Id: x.GetGuid(0), Text: x.GetString(1))
            )
        ).ToDictionary(x => x.Id, x => x.Text);
        receipts.ShouldBe(sent, ignoreOrder: true);
        await UntilAsync("the dead letters", async () => await this.DeadLetterCountAsync() == sent.Count);
        var heard = new HashSet<Guid>();
        await UntilAsync("an event", async () => await HearAsync(client, told, heard));
        await UntilAsync("the outbox is empty", async () => await this.PendingAsync() == 0);
        await HearAsync(client, told, heard);
        sent.Where(x => !heard.Contains(x.Key)).Select(x => x.Value).ShouldBeEmpty();

        await this.ExecuteAsync(MendSql);
        (await this.DeskAsync("replay", "--all")).ExitCode.ShouldBe(0);

        // What the reasons are now: of these, only the import has a reason of its own to fail.
        await UntilAsync(
            "every command is decided anew",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.receipts where outcome = 'failed' and command <> 'import-image'"
                ) == 0
        );
        (await ScalarAsync<long>("select count(*) from status.receipts")).ShouldBe(sent.Count);
    }

    private static async Task<bool> HearAsync(RawClient client, string queue, HashSet<Guid> heard)
    {
        while (await client.GetAsync(queue) is { } message)
            heard.Add(JsonElement.Parse(message.Body.Span).GetProperty("commandId").GetGuid());
        return heard.Count > 0;
    }
}
