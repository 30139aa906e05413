using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Webhooks;

/// <summary>The verbs that show.</summary>
internal static class WebhookListVerbs
{
    private const string ListHelp = """
        Show who is delivered which events, what waits and what is dead. Secrets are nowhere shown.

        Examples:
          webhooks list
          webhooks list --all --json
        """;

    private const string DeliveriesHelp = """
        Show a subscription's deliveries, newest first: state, attempts, the next one, what the receiver said.

        Examples:
          webhooks deliveries 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21 --state dead
          webhooks deliveries 5d1f3a7b-2c4e-4a60-9b8c-7d6e5f4a3b21 --limit 20 --json
        """;

    private const int LimitDefault = 100;

    private static readonly string[] States = ["pending", "delivered", "dead"];

    public static Command BuildList(VerbRunner verbs)
    {
        var all = new Option<bool>("--all") { Description = "Removed ones too." };
        return verbs.Command(
            "list",
            ListHelp,
            [all],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var rows = await new WebhookReads(database).SubscriptionsAsync(parsed.GetValue(all), cancellation);
                if (context.Screen.Json)
                {
                    foreach (var row in rows)
                        await context.Screen.ObjectAsync(row);
                    return Exit.Done;
                }

                var table = new TextTable("subscription", "state", "pending", "dead", "delivered", "events", "url", "");
                foreach (var x in rows)
                    table.Add(
                        x.Id,
                        x.State,
                        x.Pending,
                        x.Dead,
                        x.DeliveredAt,
                        (x.Events.Count == 0 ? "all" : string.Join(',', x.Events))
                            + (x.ProjectId is { } project ? $" of {project}" : ""),
                        x.Url,
                        x.StateReason ?? ""
                    );
                foreach (var line in table.Lines())
                    await context.Screen.LineAsync(line);
                return Exit.Done;
            }
        );
    }

    public static Command BuildDeliveries(VerbRunner verbs)
    {
        var id = new Argument<Guid>("SUBSCRIPTION") { Description = "The subscription's id." };
        var state = new Option<string?>("--state") { Description = "Only these." };
        state.AcceptOnlyFromAmong(States);
        var limit = SharedOptions.Number("--limit", $"How many; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "deliveries",
            DeliveriesHelp,
            [id, state, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var rows = await new WebhookReads(database).DeliveriesAsync(
                    parsed.GetValue(id),
                    parsed.GetValue(state),
                    new Page(parsed.GetValue(limit) ?? LimitDefault),
                    cancellation
                );
                if (context.Screen.Json)
                {
                    foreach (var row in rows)
                        await context.Screen.ObjectAsync(row);
                    return Exit.Done;
                }

                var table = new TextTable(
                    "came",
                    "event",
                    "state",
                    "attempts",
                    "next attempt",
                    "status",
                    "message",
                    "error"
                );
                foreach (var x in rows)
                    table.Add(
                        x.CreatedAt,
                        x.Event,
                        x.State,
                        x.Attempts,
                        x.DueAt,
                        x.LastStatus,
                        x.MessageId,
                        x.LastError ?? ""
                    );
                foreach (var line in table.Lines())
                    await context.Screen.LineAsync(line);
                return Exit.Done;
            }
        );
    }
}
