using System.CommandLine;
using Pipeline.Contracts.Deleting;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Deleting;

/// <summary>Goes on with a deletion that was given up.</summary>
internal static class RetryDeletionVerb
{
    private const string Help = """
        Go on with a deletion that has failed, with all its tries anew, or at once with one that waits for its next try.

        Example:
          retry-deletion 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11
        """;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid>("DELETION") { Description = "The deletion's id, as deletions shows it." };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        return verbs.Command(
            "retry-deletion",
            Help,
            [id, command],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new DeletionReads(database);
                var deletion = await DeletionsVerb.RequireAsync(parsed.GetValue(id), reads, cancellation);
                var sent = RetryOf(parsed.GetValue(command) ?? Guid.NewGuid(), deletion);
                await using (
                    var sender = new CommandSender(context.Settings.Broker, "publisher retry-deletion", context.Clock)
                )
                    await sender.SendAsync(sent, cancellation);
                await SentReport.PrintAsync(context.Screen, sent.Exchange, sent.MessageId, deletion.ProjectId);
                return Exit.Done;
            }
        );
    }

    public static WireMessage RetryOf(Guid commandId, DeletionRow deletion) =>
        WireMessage.Command(new RetryDeletion(commandId, deletion.Id), commandId, deletion.ProjectId);
}
