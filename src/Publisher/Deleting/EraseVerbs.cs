using System.CommandLine;
using Pipeline.Contracts.Deleting;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Deleting;

/// <summary>Erases projects, and shows how far that is.</summary>
internal static class EraseVerbs
{
    private const string EraseHelp = """
        Erase a project: delete it without a grace period, and remove what its commands have left everywhere else - prompts,
        originals, texts of receipts, dead letters, webhook deliveries, URLs. It cannot be taken back; --yes says that you
        mean it. erasures shows what was found where.

        Example:
          erase-project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --yes
        """;

    private const string ListHelp = """
        Show erasures of projects, newest first: what each one waits for, and what was found where.

        Examples:
          erasures
          erasures --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --json
        """;

    private const int LimitDefault = 100;

    public static Command BuildErase(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "The project's id." };
        var yes = new Option<bool>("--yes") { Description = "It cannot be taken back, and you mean it." };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        return verbs.Command(
            "erase-project",
            EraseHelp,
            [project, yes, command],
            async (parsed, context, cancellation) =>
            {
                if (!parsed.GetValue(yes))
                    throw new UsageException("An erasure cannot be taken back. Add --yes if you mean it.");
                var erase = new EraseProject(parsed.GetValue(command) ?? Guid.NewGuid(), parsed.GetValue(project));
                var sent = WireMessage.Command(erase);
                await using (
                    var sender = new CommandSender(context.Settings.Broker, "publisher erase-project", context.Clock)
                )
                    await sender.SendAsync(sent, cancellation);
                await SentReport.PrintAsync(context.Screen, sent.Exchange, erase.CommandId, erase.ProjectId);
                return Exit.Done;
            }
        );
    }

    public static Command BuildList(VerbRunner verbs)
    {
        var project = SharedOptions.Id("--project", "Only of this project.");
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "erasures",
            ListHelp,
            [project, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var erasures = await new ErasureReads(database).ListAsync(
                    parsed.GetValue(project),
                    new Page(parsed.GetValue(limit) ?? LimitDefault),
                    cancellation
                );
                await PrintAsync(erasures, context.Screen);
                return Exit.Done;
            }
        );
    }

    private static async Task PrintAsync(List<ErasureRow> erasures, Screen screen)
    {
        foreach (var x in erasures)
        {
            if (screen.Json)
            {
                await screen.ObjectAsync(x);
                continue;
            }

            var state = x.WaitsFor is { } reason ? $"{x.State}, waits for {reason}" : x.State;
            await screen.LineAsync($"{x.CreatedAt:u}  project {x.ProjectId}  {state}");
            foreach (var location in x.Locations.EnumerateObject().Where(y => y.Value.GetInt64() > 0))
                await screen.LineAsync($"  {location.Value.GetInt64(), 8}  {location.Name}");
        }
    }
}
