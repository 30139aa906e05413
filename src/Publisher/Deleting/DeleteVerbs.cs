using System.CommandLine;
using Pipeline.Contracts.Deleting;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Deleting;

/// <summary>Deletes a picture or a project, and takes that back.</summary>
internal static class DeleteVerbs
{
    private const string DeleteHelp = """
        Delete a picture, or a project with all its pictures. It is gone from every view as soon as the command is applied; its
        bytes are purged after the grace period (Retention__Deleted), and deletions shows how far that is.

        Examples:
          delete 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77
          delete --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --json
        """;

    private const string RestoreHelp = """
        Take the deletion of a picture or a project back. Possible until its bytes begin to be purged, so only where a grace
        period (Retention__Deleted) is configured. The receipt tells whether it was in time.

        Examples:
          restore 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77
          restore --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11
        """;

    public static Command BuildDelete(VerbRunner verbs) =>
        Build(
            verbs,
            "delete",
            DeleteHelp,
            (command, row) => WireMessage.Command(new DeleteImage(command, row.ProjectId, row.Id)),
            (command, project) => WireMessage.Command(new DeleteProject(command, project))
        );

    public static Command BuildRestore(VerbRunner verbs) =>
        Build(
            verbs,
            "restore",
            RestoreHelp,
            (command, row) => WireMessage.Command(new RestoreImage(command, row.ProjectId, row.Id)),
            (command, project) => WireMessage.Command(new RestoreProject(command, project))
        );

    private static Command Build(
        VerbRunner verbs,
        string name,
        string help,
        Func<Guid, ImageRow, WireMessage> ofImage,
        Func<Guid, Guid, WireMessage> ofProject
    )
    {
        var image = new Argument<Guid?>("IMAGE") { Description = "The picture's id.", Arity = ArgumentArity.ZeroOrOne };
        var project = SharedOptions.Id("--project", "A whole project, instead of a picture.");
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        return verbs.Command(
            name,
            help,
            [image, project, command],
            async (parsed, context, cancellation) =>
            {
                var id = parsed.GetValue(command) ?? Guid.NewGuid();
                var sent = (parsed.GetValue(image), parsed.GetValue(project)) switch
                {
                    ({ } picture, null) => ofImage(id, await FindAsync(picture, context, cancellation)),
                    (null, { } whole) => ofProject(id, whole),
                    _ => throw new UsageException("Name a picture, or a project with --project."),
                };
                await using (
                    var sender = new CommandSender(context.Settings.Broker, $"publisher {name}", context.Clock)
                )
                    await sender.SendAsync(sent, cancellation);
                await SentReport.PrintAsync(context.Screen, sent.Exchange, id, Guid.Parse(sent.RoutingKey));
                return Exit.Done;
            }
        );
    }

    private static async Task<ImageRow> FindAsync(Guid image, VerbContext context, CancellationToken cancellation)
    {
        await using var database = new StatusDatabase(context.Settings.StatusDatabase);
        return await PictureLookup.RequireAsync(database, image, cancellation);
    }
}
