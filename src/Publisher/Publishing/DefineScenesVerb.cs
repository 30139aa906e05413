using System.CommandLine;
using Pipeline.Contracts.Storyboards;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Publishing;

/// <summary>Sends a storyboard.</summary>
internal static class DefineScenesVerb
{
    private const string Help = """
        Set a project's whole storyboard. Returns once the broker has confirmed the command; its receipt tells how it ended.

        Examples:
          define-scenes samples/storyboard.json
          define-scenes storyboard.json --project 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var file = new Argument<string>("FILE")
        {
            Description =
                "{title, imagesPerScene, scenes:[{id,index,prompt}]} or a bare DefineScenes, as JSON; - is stdin.",
        };
        var project = SharedOptions.Id(
            "--project",
            "The project; a random one when neither this nor the file names it."
        );
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        return verbs.Command(
            "define-scenes",
            Help,
            [file, project, command],
            (parsed, context, cancellation) =>
                RunAsync(
                    parsed.GetValue(file) ?? "",
                    parsed.GetValue(project),
                    parsed.GetValue(command),
                    context,
                    cancellation
                )
        );
    }

    private static async Task<int> RunAsync(
        string path,
        Guid? project,
        Guid? command,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var file = await SceneFile.ReadAsync(path, cancellation);
        var define = new DefineScenes(
            One("command", command, file.CommandId),
            One("project", project, file.ProjectId),
            file.Scenes
        );

        await using var sender = new CommandSender(context.Settings.Broker, "publisher define-scenes", context.Clock);
        await sender.SendAsync(WireMessage.Command(define), cancellation);
        await SentReport.PrintAsync(context.Screen, "define-scenes", define.CommandId, define.ProjectId);
        return Exit.Done;
    }

    private static Guid One(string what, Guid? option, Guid? file)
    {
        if (option is { } wanted && file is { } written && wanted != written)
            throw new UsageException($"--{what} {wanted} and the file's {what}Id {written} disagree.");
        return (option ?? file) is { } id
            ? id != Guid.Empty
                ? id
                : throw new UsageException($"The file's {what}Id must not be all zeros.")
            : Guid.NewGuid();
    }
}

/// <summary>What is printed of a command that the broker has confirmed.</summary>
internal static class SentReport
{
    public static async Task PrintAsync(Screen screen, string command, Guid commandId, Guid projectId)
    {
        if (screen.Json)
            await screen.ObjectAsync(
                new
                {
                    command,
                    commandId,
                    projectId,
                    confirmed = true,
                }
            );
        else
        {
            await screen.LineAsync($"command  {commandId}  {command}, confirmed by the broker");
            await screen.LineAsync($"project  {projectId}");
        }
    }
}
