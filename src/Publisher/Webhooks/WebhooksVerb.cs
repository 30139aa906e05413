using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Webhooks;

/// <summary>The verbs of outgoing webhooks.</summary>
internal static class WebhooksVerb
{
    private const string Help = """
        Deliver events by HTTP to services without AMQP, signed as Standard Webhooks 1.0.0 specifies.

        docs/operations.md, "Webhooks", tells what a receiver gets.
        """;

    public static Command Build(VerbRunner verbs) =>
        new("webhooks", Help)
        {
            WebhookListVerbs.BuildList(verbs),
            WebhookListVerbs.BuildDeliveries(verbs),
            WebhookCommandVerbs.BuildAdd(verbs),
            WebhookCommandVerbs.BuildRemove(verbs),
            WebhookCommandVerbs.BuildReplay(verbs),
            WebhookCommandVerbs.BuildPing(verbs),
        };
}
