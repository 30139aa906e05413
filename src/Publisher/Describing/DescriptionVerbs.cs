using System.CommandLine;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Publisher.Describing;

/// <summary>Prints what the messages look like; needs no server.</summary>
internal static class DescriptionVerbs
{
    private const string AsyncApiHelp = """
        Print the AsyncAPI 3.0 document of all messages that other services send and hear. Needs no server.

        Examples:
          asyncapi --out asyncapi.json
          asyncapi | less
        """;

    private const string SchemaHelp = """
        Print the JSON Schema (draft 2020-12) of one message. Those that the workers send to themselves are marked
        x-internal: they may change at any time. Needs no server.

        Examples:
          schema save-image
          schema image-saved > image-saved.schema.json
        """;

    public static Command BuildAsyncApi(VerbRunner verbs)
    {
        var file = new Option<FileInfo?>("--out") { Description = "Write it here instead.", HelpName = "FILE" };
        return verbs.Command(
            "asyncapi",
            AsyncApiHelp,
            [file],
            async (parsed, context, cancellation) =>
            {
                if (parsed.GetValue(file) is not { } target)
                {
                    await context.Screen.Out.WriteAsync(AsyncApiDocument.WriteText().AsMemory(), cancellation);
                    return Exit.Done;
                }

                try
                {
                    await File.WriteAllTextAsync(target.FullName, AsyncApiDocument.WriteText(), cancellation);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    throw new FailureException($"{target} cannot be written: {e.Message}");
                }

                return Exit.Done;
            }
        );
    }

    public static Command BuildSchema(VerbRunner verbs)
    {
        var name = new Argument<string>("MESSAGE") { Description = "Its name on the wire, such as save-image." };
        name.Validators.Add(result =>
        {
            if (!MessageCatalog.TryFind(result.Tokens[0].Value, out var _))
                result.AddError($"MESSAGE must be one of {string.Join(", ", MessageCatalog.All.Select(x => x.Name))}.");
        });
        return verbs.Command(
            "schema",
            SchemaHelp,
            [name],
            async (parsed, context, cancellation) =>
            {
                _ = MessageCatalog.TryFind(parsed.GetRequiredValue(name), out var message);
                var form = context.Screen.Json ? WireJson.Options : AsyncApiDocument.Indented;
                await context.Screen.Out.WriteLineAsync(message!.Schema().ToJsonString(form).AsMemory(), cancellation);
                return Exit.Done;
            }
        );
    }
}
