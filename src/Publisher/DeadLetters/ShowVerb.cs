using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Shows all there is to know of one dead letter.</summary>
internal static class ShowVerb
{
    private const string Help = """
        Show a dead letter: headers, body, stack, its receipt, what was done about it, and what its project has had since.

        Example:
          dead-letters show 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10
        """;

    private const int LaterWrites = 20;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<string>("ID") { Description = "The message's id." };
        return verbs.Command(
            "show",
            Help,
            [id],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var letter = await FindAsync(parsed.GetRequiredValue(id), database, context, cancellation);
                var reads = new DeadLetterReads(database);
                var receipt = letter.Key is { } command
                    ? await new ReceiptReads(database).FindAsync(command, cancellation)
                    : null;
                var later = await reads.LaterWritesAsync(letter, LaterWrites, cancellation);
                var actions = await reads.ActionsAsync(letter.MessageId, LaterWrites, cancellation);
                await PrintAsync(letter, receipt, later, actions, context.Screen);
                return Exit.Done;
            }
        );
    }

    /// <exception cref="FailureException">No dead letter has this id.</exception>
    public static async Task<DeadLetter> FindAsync(
        string id,
        StatusDatabase database,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var wanted = new LetterSelection(
            new HashSet<string>([id], StringComparer.OrdinalIgnoreCase),
            Group: null,
            Project: null,
            Queue: null,
            Type: null,
            OlderThan: null,
            NewerThan: null
        );
        var letters = Peek.ReadAsync(
            context.Settings.Broker,
            await DeadLettersVerb.QueuesAsync(wanted, database, cancellation),
            wanted,
            context.Clock,
            context.Screen.NoteAsync,
            cancellation
        );
        await foreach (var letter in letters)
            return letter;
        throw new FailureException(
            $"No dead letter has the message id {id}. See: receipts {id}, dead-letters audit {id}."
        );
    }

    private static async Task PrintAsync(
        DeadLetter letter,
        ReceiptRow? receipt,
        List<ReceiptRow> later,
        List<ActionRow> actions,
        Screen screen
    )
    {
        var stack = Headers.Text(letter.Properties, Headers.StackTrace);
        var headers = LetterText.HeadersOf(letter);
        if (screen.Json)
        {
            await screen.ObjectAsync(
                new
                {
                    letter = LetterText.Summary(letter),
                    routingKey = letter.RoutingKey,
                    contentType = letter.Properties.ContentType,
                    headers,
                    body = LetterText.BodyOf(letter),
                    stack,
                    receipt,
                    laterWrites = later,
                    actions,
                }
            );
            return;
        }

        await screen.LineAsync(
            $"message      {letter.MessageId ?? "without an id"}  {letter.Type ?? "of unknown type"}"
        );
        await screen.LineAsync($"queue        {letter.Queue}, routing key '{letter.RoutingKey}'");
        await screen.LineAsync($"project      {letter.ProjectId?.ToString() ?? "unknown"}");
        await screen.LineAsync(
            $"failed       {letter.FailedAt?.ToString("u") ?? "at an unknown time"}, replayed {letter.Replays} times"
        );
        await screen.LineAsync($"group        {LetterGroup.IdOf(letter)}  {letter.Cause}");
        await screen.LineAsync($"reason       {letter.Reason ?? "unknown"}");
        await screen.LineAsync(receipt is null ? "receipt      none" : "receipt");
        if (receipt is not null)
            await TableAsync(ReceiptText.Table([receipt]), screen);
        await screen.LineAsync(later.Count == 0 ? "project's later writes: none" : "project's later writes");
        if (later.Count > 0)
            await TableAsync(ReceiptText.Table(later), screen);
        if (actions.Count > 0)
        {
            await screen.LineAsync("what was done about it");
            await TableAsync(AuditVerb.Table(actions), screen);
        }

        await screen.LineAsync("headers");
        foreach (var (name, value) in headers)
            await screen.LineAsync(
                $"  {name}: {System.Text.Json.JsonSerializer.Serialize(value, Wire.WireJson.Options)}"
            );
        await screen.LineAsync(
            $"body         {letter.Body.Length} bytes, {letter.Properties.ContentType ?? "no content type"}"
        );
        await screen.LineAsync(LetterText.BodyOf(letter));
        if (stack is not null)
            await screen.LineAsync($"stack\n{stack}");
    }

    private static async Task TableAsync(IEnumerable<string> lines, Screen screen)
    {
        foreach (var line in lines)
            await screen.LineAsync($"  {line}");
    }
}
