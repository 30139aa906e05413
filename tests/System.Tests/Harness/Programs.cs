namespace Pipeline.SystemTests.Harness;

/// <summary>The programs under test as <c>dotnet publish</c> leaves them. The build of the tests publishes them.</summary>
internal static class Programs
{
    public static string Workers { get; } = Published("Workers");

    public static string Publisher { get; } = Published("Publisher");

    private static string Published(string project)
    {
        // artifacts/bin/PROJECT/CONFIGURATION
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var artifacts = own.Parent!.Parent!.Parent!.FullName;
        return Path.Combine(artifacts, "publish", project, own.Name, $"Pipeline.{project}.dll");
    }
}
