using System.CommandLine;
using Pipeline.Publisher.Cataloguing;
using Pipeline.Publisher.DeadLetters;
using Pipeline.Publisher.Deleting;
using Pipeline.Publisher.Describing;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Play;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Reconciling;
using Pipeline.Publisher.Replacing;
using Pipeline.Publisher.Serving;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Terminal;
using Pipeline.Publisher.Uploading;
using Pipeline.Publisher.Urls;
using Pipeline.Publisher.Webhooks;

namespace Pipeline.Publisher;

/// <summary>The two streams that a run of the program writes to.</summary>
/// <param name="Out">For results.</param>
/// <param name="Error">For everything else.</param>
/// <param name="Repaints">Error is a terminal that obeys control sequences.</param>
internal sealed record TerminalWriters(TextWriter Out, TextWriter Error, bool Repaints);

/// <summary>The verbs, and what all of them share: the exit status, and one line of error for whatever goes wrong.</summary>
internal sealed class CommandLine(IConfiguration configuration, TimeProvider clock, TerminalWriters terminal)
{
    private const string About = """
        The way into the image pipeline, and its operator's desk.

        Settings are environment variables: Publisher__RabbitMq (amqp://...), ConnectionStrings__Status (the views of
        schema status), Storage__ServiceUrl, Storage__Region, Storage__Bucket, Storage__AccessKey, Storage__SecretKey
        (uploads, presigned URLs), Storage__PublicUrl (the store as browsers reach it, if not ServiceUrl) and
        Publisher__Url (where serve listens).

        Exit status: 0 done, 1 failed, 2 wrong usage or settings.
        """;

    // After Ctrl-C or SIGTERM, how long a verb may take to leave.
    private static readonly TimeSpan LeavingLimit = TimeSpan.FromSeconds(30);

    /// <returns>The exit status.</returns>
    public async Task<int> RunAsync(string[] args, CancellationToken cancellation)
    {
        var json = new Option<bool>("--json")
        {
            Description = "Print results as JSON, one object a line.",
            Recursive = true,
        };
        var verbose = new Option<bool>("--verbose")
        {
            Description = "With an error, print where it happened.",
            Recursive = true,
        };
        var verbs = new VerbRunner(configuration, clock, parsed => Screen(parsed.GetValue(json)));
        var root = new RootCommand(About)
        {
            json,
            verbose,
            DefineScenesVerb.Build(verbs),
            SaveImageVerb.Build(verbs),
            ImportVerb.Build(verbs),
            UploadVerb.Build(verbs),
            ReplaceVerb.Build(verbs),
            DeleteVerbs.BuildDelete(verbs),
            DeleteVerbs.BuildRestore(verbs),
            DeletionsVerb.Build(verbs),
            RetryDeletionVerb.Build(verbs),
            EraseVerbs.BuildErase(verbs),
            EraseVerbs.BuildList(verbs),
            StatusVerb.Build(verbs),
            ReceiptsVerb.Build(verbs),
            LanesVerb.Build(verbs),
            ReconcileVerb.Build(verbs),
            GenerateVerb.Build(verbs),
            GenerateStoryboardVerb.Build(verbs),
            GenerationsVerb.Build(verbs),
            GenerationVerb.Build(verbs),
            StoryboardsVerb.Build(verbs),
            SteerVerbs.BuildRetry(verbs),
            SteerVerbs.BuildCancel(verbs),
            UrlsVerb.Build(verbs),
            RefreshUrlsVerb.Build(verbs),
            CatalogVerb.Build(verbs),
            ObjectVerbs.BuildRecord(verbs),
            ObjectVerbs.BuildForget(verbs),
            RebuildVerbs.BuildRebuild(verbs),
            RebuildVerbs.BuildList(verbs),
            RebuildVerbs.BuildCancel(verbs),
            WebhooksVerb.Build(verbs),
            DeadLettersVerb.Build(verbs),
            PlayVerb.Build(verbs),
            DescriptionVerbs.BuildAsyncApi(verbs),
            DescriptionVerbs.BuildSchema(verbs),
            ServeVerb.Build(verbs),
        };

        // A prompt may begin with "@", which would otherwise name a file with more arguments.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
                await terminal.Error.WriteLineAsync($"error: {error.Message}");
            await terminal.Error.WriteLineAsync("--help tells what each verb takes.");
            return Exit.Usage;
        }

        try
        {
            return await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = terminal.Out,
                    Error = terminal.Error,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = LeavingLimit,
                },
                cancellation
            );
        }
        catch (Exception e)
        {
            var line = Failures.Describe(e) ?? $"unexpected {e.GetType().Name}: {e.Message}";
            await terminal.Error.WriteLineAsync($"error: {line}");
            if (parsed.GetValue(verbose))
                await terminal.Error.WriteLineAsync(e.ToString());
            return Failures.StatusOf(e);
        }
    }

    private Screen Screen(bool json) => new(terminal.Out, terminal.Error, json, terminal.Repaints);
}
