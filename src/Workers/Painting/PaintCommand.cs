using System.CommandLine;
using System.CommandLine.Parsing;
using Pipeline.Workers.Imaging;

namespace Pipeline.Workers.Painting;

/// <summary>
/// <c>workers paint STORYBOARD DIRECTORY</c>: the offline painter's pictures of a storyboard, as
/// <c>DIRECTORY/{scene id}/{slot}.png</c>. The same storyboard gives the same files.
/// </summary>
internal static class PaintCommand
{
    private const int ImagesPerSceneDefault = 3;
    private const int ImagesPerSceneMax = 100;
    private const int EdgeDefault = 512;
    private const long Seed = 0;

    private static readonly Argument<FileInfo> StoryboardFile = new("STORYBOARD")
    {
        Description = "A JSON file such as samples/storyboard.json.",
    };

    private static readonly Argument<DirectoryInfo> Target = new("DIRECTORY")
    {
        Description = "Where the pictures go; created if need be, files of the same names are replaced.",
    };

    private static readonly Option<int> Width = Edge("--width");

    private static readonly Option<int> Height = Edge("--height");

    private static readonly Option<int?> Images = CreateImages();

    public static Command Create()
    {
        var command = new Command("paint", "Paint a storyboard with the offline painter.")
        {
            StoryboardFile,
            Target,
            Width,
            Height,
            Images,
        };
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult line, CancellationToken cancellation)
    {
        Storyboard storyboard;
        try
        {
            storyboard = await Storyboard.ReadAsync(line.GetRequiredValue(StoryboardFile), cancellation);
        }
        catch (StoryboardException e)
        {
            await line.InvocationConfiguration.Error.WriteLineAsync(e.Message);
            return 1;
        }

        var images = Math.Clamp(
            line.GetValue(Images) ?? storyboard.ImagesPerScene ?? ImagesPerSceneDefault,
            1,
            ImagesPerSceneMax
        );
        var target = line.GetRequiredValue(Target);
        foreach (var scene in storyboard.Scenes ?? [])
        {
            var folder = target.CreateSubdirectory(scene.Id);
            for (var slot = 0; slot < images; slot++)
            {
                var request = new PaintRequest(
                    scene.Prompt ?? "",
                    scene.Id,
                    slot,
                    Seed,
                    line.GetValue(Width),
                    line.GetValue(Height)
                );
                await File.WriteAllBytesAsync(
                    Path.Combine(folder.FullName, $"{slot}.png"),
                    OfflinePainter.Paint(request),
                    cancellation
                );
            }
        }

        await line.InvocationConfiguration.Output.WriteLineAsync(
            $"The offline painter has painted {storyboard.Scenes?.Count} scenes, {images} pictures each, into {target}."
        );
        return 0;
    }

    private static Option<int> Edge(string name)
    {
        var option = new Option<int>(name)
        {
            Description = $"Pixels, {OfflinePainter.EdgeMin} to {OfflinePainter.EdgeMax}.",
            DefaultValueFactory = _ => EdgeDefault,
        };
        option.Validators.Add(result =>
            CheckRange(result, result.GetValue(option), OfflinePainter.EdgeMin, OfflinePainter.EdgeMax)
        );
        return option;
    }

    private static Option<int?> CreateImages()
    {
        var option = new Option<int?>("--images")
        {
            Description = $"Pictures of each scene, 1 to {ImagesPerSceneMax}; if not given, what the storyboard says.",
        };
        option.Validators.Add(result => CheckRange(result, result.GetValue(option), 1, ImagesPerSceneMax));
        return option;
    }

    private static void CheckRange(OptionResult result, int? value, int least, int most)
    {
        if (value < least || value > most)
            result.AddError($"{result.Option.Name} must be {least} to {most}.");
    }
}
