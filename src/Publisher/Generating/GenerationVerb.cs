using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.Generating;

/// <summary>Shows one generation with everything that is known of it.</summary>
internal static class GenerationVerb
{
    private const string Help = """
        Show one generation: what is rendered, its attempts, its failure, its lease, who asked for it, and the receipts.

        Examples:
          generation 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11
          generation 0b0f2c4e-5a0e-4c0b-8a52-8f2d8f6f0a11 --json
        """;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<Guid>("ID")
        {
            Description = "A generation's id, or the id of a command that asked for it.",
        };
        return verbs.Command(
            "generation",
            Help,
            [id],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var status = await RequireAsync(
                    parsed.GetValue(id),
                    project: null,
                    new GenerationReads(database),
                    cancellation
                );
                await PrintAsync(status, context.Screen);
                return Exit.Done;
            }
        );
    }

    /// <exception cref="FailureException">There is none.</exception>
    public static async Task<GenerationStatus> RequireAsync(
        Guid id,
        Guid? project,
        GenerationReads reads,
        CancellationToken cancellation
    ) =>
        await reads.FindAsync(id, project, cancellation)
        ?? throw new FailureException(
            $"There is no generation {id}, and no command {id} asked for one: it may still be queued, or see receipts {id}."
        );

    private static async Task PrintAsync(GenerationStatus status, Screen screen)
    {
        if (screen.Json)
        {
            await screen.ObjectAsync(status);
            return;
        }

        var x = status.Generation;
        (string Name, string? Value)[] lines =
        [
            ("generation", x.Id.ToString()),
            ("request hash", x.RequestHash),
            ("state", x.State),
            (
                "attempt",
                x.AttemptsFrom > 0 ? $"{x.Attempt} ({x.AttemptsFrom} before the last new beginning)" : $"{x.Attempt}"
            ),
            ("next attempt", x.DueAt?.ToString("u")),
            ("lease", x.LeaseUntil is { } until ? $"until {until:u}, worker {x.WorkerId}" : null),
            ("deadline", x.DeadlineAt?.ToString("u")),
            ("failure", x.FailureKind is null ? x.FailureReason : $"{x.FailureKind}: {x.FailureReason}"),
            ("picture", x.ObjectKey),
            ("model", $"{x.Model}, {x.Width} x {x.Height}, seed {x.Seed?.ToString() ?? "of the model's choice"}"),
            ("created", x.CreatedAt.ToString("u")),
            ("updated", x.UpdatedAt.ToString("u")),
            ("prompt", x.Prompt),
        ];
        foreach (var (name, value) in lines)
        {
            // A prompt may hold anything; a terminal would obey some of it.
            if (value is not null)
                await screen.LineAsync($"{name, -12}  {string.Concat(value.Select(c => char.IsControl(c) ? ' ' : c))}");
        }

        var attempts = new TextTable("attempt", "started", "ended", "outcome", "worker", "reason");
        foreach (var y in status.Attempts)
            attempts.Add(y.Attempt, y.StartedAt, y.EndedAt, y.Outcome, y.WorkerId, y.Reason ?? "");
        if (status.Attempts.Count > 0)
            await PrintAsync(attempts, screen);

        var targets = new TextTable("asked", "project", "scene", "slot", "outcome", "image", "request");
        foreach (var y in status.Targets)
            targets.Add(
                y.CreatedAt,
                y.ProjectId,
                y.SceneId ?? y.SceneIndex?.ToString(),
                y.Slot,
                y.Outcome,
                y.ImageId,
                y.CommandId
            );
        await PrintAsync(targets, screen);
        if (status.Receipts.Count == 0)
            return;
        await screen.LineAsync("");
        foreach (var line in ReceiptText.Table(status.Receipts))
            await screen.LineAsync(line);
    }

    private static async Task PrintAsync(TextTable table, Screen screen)
    {
        await screen.LineAsync("");
        foreach (var line in table.Lines())
            await screen.LineAsync(line);
    }
}
