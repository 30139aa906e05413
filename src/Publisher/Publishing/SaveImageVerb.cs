using System.CommandLine;
using Pipeline.Contracts;
using Pipeline.Contracts.Saving;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Publishing;

/// <summary>Sends a picture's row by hand; the bytes are in the store already, or come there by another way.</summary>
internal static class SaveImageVerb
{
    private const string Help = """
        Put a picture whose bytes are in the object store into a project. Most people want import, which stores the bytes too.

        Example (the key must be projects/PROJECT/IMAGE/SHA256.EXTENSION):
          save-image --project P --image I --scene scene-1 --slot 0 --key projects/P/I/SHA.png --sha256 SHA
                     --content-type image/png --bytes 1234 --width 64 --height 64
        """;

    private static readonly string[] ContentTypes =
    [
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/avif",
    ];

    public static Command Build(VerbRunner verbs)
    {
        var project = SharedOptions.RequiredId("--project", "The project; created when it is new.");
        var image = SharedOptions.RequiredId("--image", "The picture's id, chosen by you.");
        var scene = new Option<string?>("--scene")
        {
            Description = "The scene's id. Without a scene: a picture of the project itself.",
        };
        var index = SharedOptions.Number(
            "--scene-index",
            "The scene's place, instead of its id.",
            1,
            Limits.SceneIndexLast
        );
        var slot = SharedOptions.Number("--slot", "Place within the scene.", 0, Limits.SlotLast);
        var key = Text("--key", "Key in the object store.");
        var hash = Text("--sha256", "Of the bytes, 64 lower-case hexadecimal digits.");
        var type = Text("--content-type", "What the bytes are.");
        type.AcceptOnlyFromAmong(ContentTypes);
        var bytes = SharedOptions.Number("--bytes", "Length of the bytes.", 1, Limits.PictureBytes);
        var width = SharedOptions.Number("--width", "Pixels.", 1, Limits.PicturePixels);
        var height = SharedOptions.Number("--height", "Pixels.", 1, Limits.PicturePixels);
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        foreach (var required in new Option[] { slot, bytes, width, height })
            required.Required = true;
        hash.Validators.Add(result =>
        {
            if (
                result.Tokens is [{ Value: var value }]
                && (value.Length != 64 || !value.All(char.IsAsciiHexDigitLower))
            )
                result.AddError("--sha256 must be 64 lower-case hexadecimal digits.");
        });

        return verbs.Command(
            "save-image",
            Help,
            [project, image, scene, index, slot, key, hash, type, bytes, width, height, command],
            async (parsed, context, cancellation) =>
            {
                var save = new SaveImage(
                    parsed.GetValue(command) ?? Guid.NewGuid(),
                    parsed.GetValue(project) ?? Guid.Empty,
                    parsed.GetValue(image) ?? Guid.Empty,
                    parsed.GetValue(scene),
                    parsed.GetValue(index),
                    parsed.GetValue(slot) ?? 0,
                    parsed.GetRequiredValue(key),
                    parsed.GetRequiredValue(hash),
                    parsed.GetRequiredValue(type),
                    parsed.GetValue(bytes) ?? 0,
                    parsed.GetValue(width) ?? 0,
                    parsed.GetValue(height) ?? 0
                );
                await using var sender = new CommandSender(
                    context.Settings.Broker,
                    "publisher save-image",
                    context.Clock
                );
                await sender.SendAsync(WireMessage.Command(save), cancellation);
                await SentReport.PrintAsync(context.Screen, "save-image", save.CommandId, save.ProjectId);
                return Exit.Done;
            }
        );
    }

    private static Option<string> Text(string name, string help) => new(name) { Description = help, Required = true };
}
