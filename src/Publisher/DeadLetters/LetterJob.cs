using System.CommandLine;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Who acts, and why.</summary>
internal sealed record Signature(string By, string? Reason);

/// <summary>The options that say who acts, and why; they go into the audit.</summary>
internal sealed class SignatureOptions
{
    private const int ReasonLength = 1_000;

    private readonly Option<string?> _by = new("--as")
    {
        Description = "Who does it, for the audit; by default the user and the machine.",
        HelpName = "NAME",
    };

    private readonly Option<string?> _reason = new("--reason") { Description = "Why, for the audit." };

    public SignatureOptions(bool reasonRequired = false)
    {
        _reason.Required = reasonRequired;
        Limit(_by, AuditTrail.ByLength);
        Limit(_reason, ReasonLength);
    }

    public IEnumerable<Symbol> Symbols => [_by, _reason];

    public Signature Read(ParseResult parsed) =>
        new(parsed.GetValue(_by) ?? AuditTrail.Operator, parsed.GetValue(_reason));

    private static void Limit(Option<string?> option, int length) =>
        option.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var text }] && (string.IsNullOrWhiteSpace(text) || text.Length > length))
                result.AddError($"{option.Name} must have 1 to {length} characters.");
        });
}

/// <summary>Carries a plan out, queue after queue, and tells how it goes.</summary>
internal static class LetterJob
{
    /// <returns>The exit status.</returns>
    public static async Task<int> RunAsync(
        LetterAction action,
        LetterSelection selection,
        LetterPlan plan,
        Signature signature,
        Pace pace,
        AnswerWatch? watch,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var broker = context.Settings.Broker;
        var progress = new ProgressLine(context.Screen, context.Clock);
        await using var audit = new AuditTrail(broker, context.Clock, signature.By, signature.Reason);
        await using var run = new LetterRun(broker, action, selection, audit, pace, watch, context.Clock)
        {
            Progress = x => progress.ShowAsync($"{x} of {plan.Count}"),
        };
        try
        {
            foreach (var (queue, count) in plan.Counts)
                await run.HandleAsync(queue, count, cancellation);
            if (watch is not null)
                await watch.EndAsync(cancellation);
        }
        finally
        {
            // Also after a failure: what was done was done.
            await audit.FlushAsync(CancellationToken.None);
            await progress.EndAsync($"{run.Handled} of {plan.Count}");
        }

        return await LetterReport.EndAsync(action.Name, run.Handled, plan, watch, context.Screen);
    }
}
