using System.Diagnostics;
using Microsoft.Extensions.Configuration;

namespace Pipeline.SystemTests.Harness;

/// <summary>The programs under test as <c>dotnet publish</c> leaves them. The build of the tests publishes them.</summary>
internal static class Programs
{
    public static string Workers { get; } = Published("Workers");

    public static string Publisher { get; } = Published("Publisher");

    // A process of a test lives for seconds, and most of its processor time went into compiling its hot paths again and
    // into a collector made for long runs: 3.4 s of a worker's first five, with these 2.1 s. Settings of a test win.
    private static readonly (string Name, string Value)[] ShortLived =
    [
        ("DOTNET_TC_CallCounting", "0"),
        ("DOTNET_gcServer", "0"),
        ("DOTNET_EnableWriteXorExecute", "0"),
    ];

    /// <summary>How to start one of the programs; its output is not redirected yet.</summary>
    public static ProcessStartInfo Start(
        string program,
        IReadOnlyDictionary<string, string> settings,
        params string[] arguments
    )
    {
        var start = new ProcessStartInfo("dotnet", [program, .. arguments]) { UseShellExecute = false };
        foreach (var (variable, value) in ShortLived)
            start.Environment[variable] = value;
        foreach (var (variable, value) in settings)
            start.Environment[variable] = value;
        return start;
    }

    /// <summary>The same settings for a program that runs within the test process.</summary>
    public static IEnumerable<KeyValuePair<string, string?>> AsConfiguration(
        IEnumerable<KeyValuePair<string, string>> settings
    ) =>
        settings.Select(x =>
            KeyValuePair.Create(
                x.Key.Replace("__", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal),
                (string?)x.Value
            )
        );

    private static string Published(string project)
    {
        // artifacts/bin/PROJECT/CONFIGURATION
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var artifacts = own.Parent!.Parent!.Parent!.FullName;
        return Path.Combine(artifacts, "publish", project, own.Name, $"Pipeline.{project}.dll");
    }
}
