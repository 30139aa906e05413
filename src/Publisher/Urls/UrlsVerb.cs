using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Urls;

/// <summary>Shows cached URLs, or how signing them fares.</summary>
internal static class UrlsVerb
{
    private const string Help = """
        Show the cached URLs of a picture or of a project's pictures: who signed each, when it is renewed, when it ends,
        why it is degraded, what failed. Without an id: how signing fares as a whole, step by step over the last day.
        The URLs themselves are printed for a single picture, and with --json.

        Examples:
          urls
          urls 3b9f6a52-8f0c-4f6e-8a3d-5f2d1c0b9e77
          urls 6f2c5c0e-5c51-4d0e-9a5c-0f6d1c1f9b11 --json
        """;

    private const int LimitDefault = 100;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid?>("ID")
        {
            Description = "A picture's id or a project's id.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var limit = SharedOptions.Number("--limit", $"How many pictures; {LimitDefault} by default.", 1, Page.LimitMax);
        return verbs.Command(
            "urls",
            Help,
            [id, limit],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new UrlReads(database);
                if (parsed.GetValue(id) is { } one)
                {
                    var page = new Page(parsed.GetValue(limit) ?? LimitDefault);
                    await PrintAsync(await FindAsync(one, page, database, reads, cancellation), one, context.Screen);
                }
                else
                    await PrintHealthAsync(reads, context.Screen, cancellation);
                return Exit.Done;
            }
        );
    }

    private static async Task<List<PictureUrls>> FindAsync(
        Guid id,
        Page page,
        StatusDatabase database,
        UrlReads reads,
        CancellationToken cancellation
    )
    {
        var projects = new ProjectReads(database);
        if (await projects.ImageAsync(id, cancellation) is { } image)
            return image.State == "shown"
                ? await reads.OfAsync([id], cancellation)
                : throw new FailureException($"Picture {id} is {image.State}: only what is shown has URLs.");
        if (await projects.VersionAsync(id, cancellation) is null)
            throw new FailureException(
                $"There is no picture and no project {id}, or no command of it has been applied yet."
            );
        return await reads.OfAsync([.. await reads.ShownAsync(id, page, cancellation)], cancellation);
    }

    private static async Task PrintAsync(List<PictureUrls> pictures, Guid asked, Screen screen)
    {
        if (screen.Json)
        {
            foreach (var picture in pictures)
                await screen.ObjectAsync(picture);
            return;
        }

        var table = new TextTable("image", "variant", "step", "state", "renewed", "expires", "why");
        foreach (var picture in pictures)
        {
            if (picture.Urls.Count == 0 || picture.FailureReason is not null)
                table.Add(picture.ImageId, "-", "-", "unsigned", picture.NextTryAt, null, picture.FailureReason ?? "");
            foreach (var url in picture.Urls.Values)
                table.Add(
                    picture.ImageId,
                    url.Variant,
                    url.Strategy,
                    (url.Degraded ? "degraded" : "good") + (url.Due ? ", due" : ""),
                    url.RefreshAfter,
                    url.ExpiresAt,
                    string.Join(" ", url.Steps.Select(x => $"{x.Step}: {x.Reason}"))
                );
        }

        foreach (var line in table.Lines())
            await screen.LineAsync(line);
        foreach (var url in pictures.Where(x => x.ImageId == asked).SelectMany(x => x.Urls.Values))
            await screen.LineAsync($"{url.Variant}  {url.Url}");
    }

    private static async Task PrintHealthAsync(UrlReads reads, Screen screen, CancellationToken cancellation)
    {
        var (health, steps, variants) = (
            await reads.HealthAsync(cancellation),
            await reads.StepsAsync(cancellation),
            await reads.VariantsAsync(cancellation)
        );
        if (screen.Json)
        {
            await screen.ObjectAsync(
                new
                {
                    health,
                    steps,
                    variants,
                }
            );
            return;
        }

        await screen.LineAsync(
            $"pictures {health.Images}, never signed {health.Unsigned}; URLs {health.Urls}, degraded {health.Degraded}, "
                + $"expired {health.Expired}"
        );
        await screen.LineAsync(
            $"failing pictures {health.Failing}; overdue {health.Overdue}, the oldest for {health.OldestOverdueSeconds} s"
        );
        foreach (var variant in variants)
            await screen.LineAsync($"variant {variant.Name}: {variant.Chain}");
        var table = new TextTable("step", "outcome", "last day");
        foreach (var step in steps)
            table.Add(step.Step, step.Reason.Length == 0 ? "signed" : step.Reason, step.Count);
        foreach (var line in table.Lines())
            await screen.LineAsync(line);
    }
}
