using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Pipeline.Publisher;

namespace Pipeline.SystemTests.Harness;

/// <summary>A run of the publisher's command line to its end, within the test process.</summary>
internal sealed record VerbRun(int ExitCode, string Out, string Error)
{
    public static Task<VerbRun> RunAsync(Stack stack, params string[] args) => RunAsync(stack.PublisherSettings, args);

    public static async Task<VerbRun> RunAsync(IReadOnlyDictionary<string, string> settings, params string[] args)
    {
        var configuration = new ConfigurationBuilder()
            .AddEnvironmentVariables()
            .AddInMemoryCollection(Programs.AsConfiguration(settings))
            .Build();
        await using var standard = new StringWriter();
        await using var error = new StringWriter();
        var terminal = new TerminalWriters(
            TextWriter.Synchronized(standard),
            TextWriter.Synchronized(error),
            Repaints: false
        );
        var status = await new CommandLine(configuration, TimeProvider.System, terminal).RunAsync(args, default);
        return new VerbRun(status, standard.ToString(), error.ToString());
    }

    /// <summary>What a verb printed with <c>--json</c>, an object a line.</summary>
    public List<JsonElement> Objects() =>
        [
            .. Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(x => JsonSerializer.Deserialize<JsonElement>(x)),
        ];
}
