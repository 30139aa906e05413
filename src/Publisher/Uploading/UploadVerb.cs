using System.CommandLine;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Storage;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Uploading;

/// <summary>Looks at files, then hands them in; one that is refused keeps all of them back.</summary>
internal static class UploadVerb
{
    private const string Help = """
        Upload pictures into a project. Every file is looked at first: what it is by its bytes, whether it is whole, its size
        and its pixels. One that is refused keeps all of them back, and nothing is stored. import takes directories and URLs
        as well, and leaves the looking to the workers.

        Running the same upload again sends the same commands.

        Examples:
          upload 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 cover.png
          upload PROJECT a.jpg b.jpg --scene scene-1 --slot 2 --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var project = new Argument<Guid>("PROJECT") { Description = "The project's id; created when it is new." };
        project.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Guid.TryParse(token.Value, out var id) && id == Guid.Empty)
                result.AddError("PROJECT must not be all zeros.");
        });
        var files = new Argument<string[]>("FILE") { Description = "Pictures.", Arity = ArgumentArity.OneOrMore };
        var scene = new Option<string?>("--scene") { Description = "The scene's id." };
        var slot = SharedOptions.Number(
            "--slot",
            "Slot of the first file; the next ones follow.",
            0,
            ImportPlan.SlotLimit
        );
        return verbs.Command(
            "upload",
            Help,
            [project, files, scene, slot],
            (parsed, context, cancellation) =>
                RunAsync(
                    parsed.GetValue(project),
                    parsed.GetValue(files) ?? [],
                    new UploadPlace(parsed.GetValue(scene), null, parsed.GetValue(slot) ?? 0, null, null),
                    context,
                    cancellation
                )
        );
    }

    private static async Task<int> RunAsync(
        Guid project,
        string[] files,
        UploadPlace place,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var limits = context.Settings.Uploads;
        if (files.Length > limits.FilesPerRequest)
            throw new UsageException($"That is more than {limits.FilesPerRequest} files: upload them in parts.");
        var pictures = new List<UploadedPicture>();
        try
        {
            foreach (var (i, file) in files.Index())
                pictures.Add(await CheckAsync(file, place with { Slot = place.Slot + i }, limits, cancellation));

            using var store = new S3Store(context.Settings.Storage, context.Clock);
            await using var sender = new CommandSender(context.Settings.Broker, "publisher upload", context.Clock);
            var commands = await new UploadDesk(store, sender).HandInAsync(project, pictures, cancellation);
            foreach (var (picture, command) in pictures.Zip(commands))
            {
                if (context.Screen.Json)
                    await context.Screen.ObjectAsync(UploadAnswer.Of(picture, command));
                else
                    await context.Screen.LineAsync(
                        $"command  {command.CommandId}  {picture.Name}, slot {command.Slot}"
                    );
            }
        }
        finally
        {
            pictures.ForEach(x => x.Dispose());
        }

        if (!context.Screen.Json)
            await context.Screen.LineAsync($"project  {project}");
        return Exit.Done;
    }

    private static async Task<UploadedPicture> CheckAsync(
        string file,
        UploadPlace place,
        UploadLimits limits,
        CancellationToken cancellation
    )
    {
        var name = Path.GetFileName(file);
        var rules = PlaceRules.Problems(place.ImageId, place.SceneId, place.SceneIndex, place.Slot);
        if (FileNames.Refuse(name) is { } rule)
            throw new UsageException($"{file}: the name {rule}.");
        if (rules.FirstOrDefault() is { } problem)
            throw new UsageException($"{file}: {problem}.");
        if (!File.Exists(file))
            throw new UsageException($"{file}: there is no such file.");

        await using var content = File.OpenRead(file);
        return await new UploadDoor(limits).CheckAsync(content, cancellation) switch
        {
            CheckedFile taken => new UploadedPicture(name, place, taken),
            RefusedFile refused => throw new FailureException($"{file}: {refused.Reason}. Nothing was stored."),
            var other => throw new NotSupportedException(other.ToString()),
        };
    }
}
