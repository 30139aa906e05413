using Microsoft.Extensions.Configuration;

namespace Pipeline.Publisher.Tests.Harness;

/// <summary>What a run of the program printed, and its exit status.</summary>
internal sealed record CliResult(int Status, string Out, string Error)
{
    public string[] Lines => Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs the program's command line in this process.</summary>
internal static class Cli
{
    public static async Task<CliResult> RunAsync(IConfiguration configuration, params string[] args)
    {
        using var standard = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var terminal = new TerminalWriters(
            TextWriter.Synchronized(standard),
            TextWriter.Synchronized(error),
            Repaints: false
        );
        var status = await new CommandLine(configuration, TimeProvider.System, terminal).RunAsync(
            args,
            CancellationToken.None
        );
        return new CliResult(status, standard.ToString(), error.ToString());
    }

    public static IConfiguration Settings(params (string Key, string Value)[] settings) =>
        new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(x => KeyValuePair.Create(x.Key, (string?)x.Value)))
            .Build();
}

/// <summary>A folder that goes with the test.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("publisher-tests-").FullName;

    public string Write(string name, string text = "bytes")
    {
        var file = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file) ?? "");
        File.WriteAllText(file, text);
        return file;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
