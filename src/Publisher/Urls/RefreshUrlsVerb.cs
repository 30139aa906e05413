using System.CommandLine;
using Pipeline.Contracts.Urls;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.Urls;

/// <summary>Has URLs signed anew.</summary>
internal static class RefreshUrlsVerb
{
    private const string Help = """
        Have the URLs of a picture, of a project's pictures, or of all that are due renewed. A URL whose refresh window is
        not open is kept as it is, because browsers have cached it; --force signs it anew, such as after a change of keys.

        Examples:
          refresh-urls 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77 --force --wait 10
          refresh-urls --due
        """;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid?>("ID")
        {
            Description = "A picture's id or a project's id.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var due = new Option<bool>("--due") { Description = "All pictures whose refresh is due." };
        var force = new Option<bool>("--force") { Description = "Also what is not due." };
        var command = SharedOptions.Id(
            "--command",
            "The command's id, to send the same command again; random by default."
        );
        var wait = SharedOptions.Number(
            "--wait",
            "Wait so many seconds for the receipt.",
            0,
            RenderOptions.WaitSecondsMax
        );
        return verbs.Command(
            "refresh-urls",
            Help,
            [id, due, force, command, wait],
            async (parsed, context, cancellation) =>
            {
                var one = parsed.GetValue(id);
                if (one is null != parsed.GetValue(due))
                    throw new UsageException("Name a picture or a project, or say --due for all that are due.");
                if (one is null && parsed.GetValue(force))
                    throw new UsageException("--force goes with a picture or a project.");
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var refresh = await AddressAsync(
                    new RefreshUrls(
                        parsed.GetValue(command) ?? Guid.NewGuid(),
                        ProjectId: null,
                        ImageId: null,
                        ImageVersion: null,
                        parsed.GetValue(force)
                    ),
                    one,
                    database,
                    cancellation
                );
                await using (
                    var sender = new CommandSender(context.Settings.Broker, "publisher refresh-urls", context.Clock)
                )
                    await sender.SendAsync(refresh.ToWire(), cancellation);
                await PrintAsync(refresh, context.Screen);
                if (parsed.GetValue(wait) is not { } seconds)
                    return Exit.Done;

                var limit = TimeSpan.FromSeconds(seconds);
                var key = CommandKey.Of(refresh);
                var ends = await new GenerationWait(database, context.Screen, context.Clock).EndsAsync(
                    [key],
                    limit,
                    cancellation
                );
                return await EndReport.PrintAsync([key], ends, seconds, context.Screen);
            }
        );
    }

    private static async Task<RefreshUrls> AddressAsync(
        RefreshUrls refresh,
        Guid? id,
        StatusDatabase database,
        CancellationToken cancellation
    )
    {
        if (id is not { } one)
            return refresh;
        var projects = new ProjectReads(database);
        if (await projects.ImageAsync(one, cancellation) is { } image)
            return refresh with { ImageId = one, ProjectId = image.ProjectId };
        return await projects.VersionAsync(one, cancellation) is null
            ? throw new FailureException(
                $"There is no picture and no project {one}, or no command of it has been applied yet."
            )
            : refresh with
            {
                ProjectId = one,
            };
    }

    private static async Task PrintAsync(RefreshUrls refresh, Screen screen)
    {
        if (screen.Json)
            await screen.ObjectAsync(
                new
                {
                    command = "refresh-urls",
                    refresh.CommandId,
                    refresh.ProjectId,
                    refresh.ImageId,
                    confirmed = true,
                }
            );
        else
            await screen.LineAsync($"command  {refresh.CommandId}  refresh-urls, confirmed by the broker");
    }
}
