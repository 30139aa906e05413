using System.CommandLine;
using Pipeline.Contracts.Importing;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Replacing;

/// <summary>Gives a picture other bytes.</summary>
internal static class ReplaceVerb
{
    private const string Help = """
        Give a picture other bytes. A file is uploaded, a URL is fetched by the workers; one import-image command hands it in.
        The picture keeps its id, scene and slot; its version and its URLs change when the new bytes are shown, and the
        earlier ones are purged after Retention__Replaced. --command sends the same replacement again.

        Examples:
          replace 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77 kite.png
          replace 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77 https://example.org/kite.jpg --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var image = new Argument<Guid>("IMAGE") { Description = "The picture's id." };
        var source = new Argument<string>("SOURCE") { Description = "A file, or an http or https address." };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        return verbs.Command(
            "replace",
            Help,
            [image, source, command],
            async (parsed, context, cancellation) =>
            {
                var picture = ImportPlan.Single(parsed.GetRequiredValue(source));
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var row = await PictureLookup.RequireAsync(database, parsed.GetValue(image), cancellation);
                var import = ReplaceCommand.Of(
                    parsed.GetValue(command) ?? Guid.NewGuid(),
                    row,
                    picture.IsUrl ? picture.Location : null
                );
                await SendAsync(import, picture.Location, context, cancellation);
                return Exit.Done;
            }
        );
    }

    private static async Task SendAsync(
        ImportImage import,
        string location,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        if (import.UploadKey is { } key)
        {
            using var store = new S3Store(context.Settings.Storage, context.Clock);
            await using var file = File.OpenRead(location);
            await store.UploadAsync(key, file, cancellation);
        }

        await using (var sender = new CommandSender(context.Settings.Broker, "publisher replace", context.Clock))
            await sender.SendAsync(WireMessage.Command(import, import.CommandId, import.ProjectId), cancellation);

        if (context.Screen.Json)
        {
            await context.Screen.ObjectAsync(
                new
                {
                    command = "import-image",
                    import.CommandId,
                    import.ProjectId,
                    import.ImageId,
                    confirmed = true,
                }
            );
            return;
        }

        await SentReport.PrintAsync(context.Screen, "import-image", import.CommandId, import.ProjectId);
        await context.Screen.LineAsync(
            "replace-image follows when the bytes are stored; the import's receipt names it (followUpId)."
        );
    }
}
