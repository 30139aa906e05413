using Pipeline.Contracts.DeadLetters;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Tells what would be done about dead letters, and what was.</summary>
internal static class LetterReport
{
    public static async Task PlanAsync(LetterPlan plan, Screen screen)
    {
        if (screen.Json)
            return; // The end tells it all, in one object.
        if (plan.Count > 0)
            await ListVerb.PrintAsync(plan.Groups, int.MaxValue, screen);
        if (plan.Superseded > 0)
            await screen.LineAsync(
                $"{plan.Superseded} of them would be superseded: newer writes have decided the same meanwhile."
            );
    }

    /// <returns>The exit status: 0 also where nothing was meant.</returns>
    public static async Task<int> EndAsync(
        string action,
        int handled,
        LetterPlan plan,
        AnswerWatch? watch,
        Screen screen
    )
    {
        var left = plan.Count - handled;
        if (screen.Json)
        {
            await screen.ObjectAsync(
                new
                {
                    action,
                    selected = plan.Count,
                    handled,
                    left,
                    superseded = action == DeadLetterActions.Replay ? plan.Superseded : (int?)null,
                    answered = watch?.Answered,
                    failedAgain = watch?.Failed,
                    queues = plan.Counts,
                }
            );
            return Exit.Done;
        }

        var answers = watch is { Answered: > 0 }
            ? $" {watch.Answered} are answered, {watch.Failed} of them failed again."
            : "";
        await screen.LineAsync($"{action}: {handled} of {plan.Count} dead letters, {left} are left.{answers}");
        return Exit.Done;
    }
}
