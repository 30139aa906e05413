using System.CommandLine;
using System.Text.Json;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Corrects one dead letter and sends it as a new command.</summary>
internal static class EditVerb
{
    private const string Help = """
        Correct one command among the dead letters and send it. The new body is checked against the command's schema. The
        new command has an id of its own, made of the old id and the new content; the header x-edited-from and the audit
        name the old one. A dead letter is edited once: the same edit, or another one, is refused afterwards.

        Examples:
          dead-letters edit 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10 --body corrected.json --reason "the slot was wrong"
          dead-letters edit 7d0a3f0e-1b52-4c1c-9f0e-3c5f1d2b4a10 --set slot=3 --set sceneId=null
        """;

    public static Command Build(VerbRunner verbs)
    {
        var id = new Argument<string>("ID") { Description = "The message's id." };
        var body = new Option<string?>("--body") { Description = "A file with the whole new body.", HelpName = "FILE" };
        var set = new Option<string[]>("--set")
        {
            Description = "A member of the body and its new value, as JSON or as a text.",
            HelpName = "NAME=VALUE",
        };
        var signature = new SignatureOptions();
        return verbs.Command(
            "edit",
            Help,
            [id, body, set, .. signature.Symbols],
            async (parsed, context, cancellation) =>
            {
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var reads = new DeadLetterReads(database);
                var wanted = parsed.GetRequiredValue(id);
                var earlier = await reads.EditOfAsync(wanted, project: null, cancellation);
                if (earlier is { DoneAt: not null })
                    throw new FailureException(LetterEdit.Describe(earlier));

                var letter = await ShowVerb.FindAsync(wanted, database, context, cancellation);
                var edited = await ReadAsync(parsed.GetValue(body), parsed.GetValue(set) ?? [], letter, cancellation);
                var edit = LetterEdit.Of(letter, edited);
                await edit.SendAsync(reads, signature.Read(parsed), context, cancellation);
                if (context.Screen.Json)
                    await context.Screen.ObjectAsync(
                        new
                        {
                            edited = letter.MessageId,
                            successor = edit.SuccessorId,
                            confirmed = true,
                        }
                    );
                else
                    await context.Screen.LineAsync(
                        $"edited   {letter.MessageId}\nsent as  {edit.SuccessorId}  {letter.Type}, confirmed by the broker"
                    );
                return Exit.Done;
            }
        );
    }

    private static async Task<string> ReadAsync(
        string? file,
        string[] changes,
        DeadLetter letter,
        CancellationToken cancellation
    )
    {
        if (file is null == (changes.Length == 0))
            throw new UsageException("Say either --body FILE or --set NAME=VALUE.");
        try
        {
            return file is not null
                ? await File.ReadAllTextAsync(file, cancellation)
                : LetterEdit.Change(letter, changes);
        }
        catch (JsonException e)
        {
            throw new UsageException(
                $"The body is no JSON object, so that nothing can be set in it; give it whole with --body: {JsonErrors.Describe(e)}"
            );
        }
    }
}
