using System.CommandLine;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>Writes dead letters to a file, and puts those of a file into their queues.</summary>
internal static class FileVerbs
{
    private const string ExportHelp = """
        Write dead letters with all that they have as JSON, one a line. They stay in their queues.

        Example:
          dead-letters export --queue import-image --file letters.jsonl
        """;

    private const string ImportHelp = """
        Put the dead letters of a file into the parking queues beside the queues in which they failed; only workers may
        write to the others. A letter that lies in a queue already is there twice then, which its receipt makes harmless
        when it is replayed.

        Examples:
          dead-letters import letters.jsonl
          dead-letters replay --queue import-image_parked
        """;

    // Messages on their way to the broker at once.
    private const int Handful = 500;

    public static Command BuildExport(VerbRunner verbs)
    {
        var selection = new SelectionOptions();
        var file = new Option<string?>("--file") { Description = "Where to; standard output by default." };
        return verbs.Command(
            "export",
            ExportHelp,
            [.. selection.Symbols, file],
            async (parsed, context, cancellation) =>
            {
                var wanted = selection.ReadDeliberate(parsed);
                await using var database = new StatusDatabase(context.Settings.StatusDatabase);
                var letters = Peek.ReadAsync(
                    context.Settings.Broker,
                    await DeadLettersVerb.QueuesAsync(wanted, database, cancellation),
                    wanted,
                    context.Clock,
                    context.Screen.NoteAsync,
                    cancellation
                );
                await using var target = parsed.GetValue(file) is { } path ? new StreamWriter(path) : null;
                var count = 0;
                await foreach (var letter in letters)
                {
                    await (target ?? context.Screen.Out).WriteLineAsync(LetterFile.Write(letter));
                    count++;
                }

                await context.Screen.NoteAsync($"{count} dead letters are written.");
                return Exit.Done;
            }
        );
    }

    public static Command BuildImport(VerbRunner verbs)
    {
        var file = new Argument<string>("FILE") { Description = "As export writes it." };
        return verbs.Command(
            "import",
            ImportHelp,
            [file],
            async (parsed, context, cancellation) =>
            {
                var path = parsed.GetRequiredValue(file);
                var lines = 0;
                await foreach (var line in File.ReadLinesAsync(path, cancellation))
                    LetterFile.Read(line, ++lines); // All of it is looked at before any of it is sent.

                await using var publisher = new ConfirmedPublisher(
                    context.Settings.Broker,
                    "publisher dead-letters import"
                );
                var sent = 0;
                foreach (var handful in File.ReadLines(path).Chunk(Handful))
                {
                    await publisher.PublishAllAsync(handful.Select(x => LetterFile.Read(x, ++sent)), cancellation);
                }

                await context.Screen.NoteAsync($"{sent} dead letters are in their parking queues.");
                return Exit.Done;
            }
        );
    }
}
