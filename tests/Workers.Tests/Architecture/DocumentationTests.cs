using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Pipeline.Contracts;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Storyboards;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Cdn;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Generation;
using Pipeline.Workers.Images;
using Pipeline.Workers.Importing;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Models;
using Pipeline.Workers.Reconciling;
using Pipeline.Workers.Rendering;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Uploads;
using Pipeline.Workers.Urls;
using Pipeline.Workers.Webhooks;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>What the pages say of commands, settings, messages and files is so.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public void Every_message_is_described_with_an_example_that_reads_as_it()
    {
        var sections = Sections("docs/messages.md");
        var messages = typeof(ILaneCommand)
            .Assembly.GetExportedTypes()
            .Where(x => x is { IsClass: true, IsAbstract: false })
            .Except([typeof(SceneDefinition), typeof(DeadLetterStep), typeof(ErasedLocation)]); // Parts of messages.

        foreach (var message in messages)
        {
            var name = WireNames.ExchangeOf(message);
            sections.ShouldContainKey(name);
            var example = JsonExample().Match(sections[name]).Groups["json"].Value;
            var read = JsonSerializer.Deserialize(example, message, WireJson.Options);
            var written = JsonSerializer.Serialize(read, message, WireJson.Options);
            Names(example).ShouldBe(Names(written), name);
            foreach (var field in Names(example))
                sections["*"].ShouldContain($"`{field}`");
        }
    }

    [Fact]
    public void Every_setting_of_the_workers_is_in_the_table()
    {
        var table = SourceTree.Read("docs/operations.md");
        (string, Type)[] sections =
        [
            (LaneOptions.Section, typeof(LaneOptions)),
            (ImportingOptions.Section, typeof(ImportingOptions)),
            (StorageOptions.Section, typeof(StorageOptions)),
            (RetentionOptions.Section, typeof(RetentionOptions)),
            (DeletionOptions.Section, typeof(DeletionOptions)),
            ($"{CdnOptions.Section}__CloudFront", typeof(CloudFrontOptions)),
            ($"{CdnOptions.Section}__Cloudinary", typeof(CloudinaryOptions)),
            ($"{CdnOptions.Section}__Supabase", typeof(SupabaseOptions)),
            ($"{CdnOptions.Section}__Purge", typeof(PurgeOptions)),
            (GenerationOptions.Section, typeof(GenerationOptions)),
            (RenderingOptions.Section, typeof(RenderingOptions)),
            (UploadOptions.Section, typeof(UploadOptions)),
            (ReconcilingOptions.Section, typeof(ReconcilingOptions)),
            (CataloguingOptions.Section, typeof(CataloguingOptions)),
            ($"{ModelOptions.Section}__NAME", typeof(ModelOptions)),
            (UrlsOptions.Section, typeof(UrlsOptions)),
            ($"{UrlsOptions.Section}__Variants__NAME", typeof(VariantOptions)),
            ($"{UrlsOptions.Section}__Imgproxy", typeof(ImgproxyOptions)),
            ($"{UrlsOptions.Section}__Supabase", typeof(SupabaseTransformOptions)),
            (WebhookOptions.Section, typeof(WebhookOptions)),
        ];

        foreach (var (section, options) in sections)
        // Others are computed, or a section of their own.
        foreach (var setting in options.GetProperties().Where(x => x.CanWrite && !IsSection(x.PropertyType)))
            table.ShouldContain($"`{section}__{setting.Name}`");
    }

    private static bool IsSection(Type type) =>
        type == typeof(ImgproxyOptions)
        || type == typeof(SupabaseTransformOptions)
        || type == typeof(Dictionary<string, VariantOptions>);

    [Fact]
    public void Every_setting_in_the_table_is_one()
    {
        var source = string.Concat(SourceTree.Files("src").Select(SourceTree.Read));

        foreach (Match row in SettingRow().Matches(SourceTree.Read("docs/operations.md")))
        foreach (var variable in Variable().Matches(row.Groups["cell"].Value).Select(x => x.Value))
            (variable.StartsWith("Logging", StringComparison.Ordinal) || IsRead(variable.Split("__")[^1])).ShouldBeTrue(
                variable
            );

        bool IsRead(string name) => Regex.IsMatch(source, $@"\b{name}\b", RegexOptions.None, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Every_log_line_in_the_table_is_written_somewhere()
    {
        var source = string.Concat(SourceTree.Files("src/Workers").Select(SourceTree.Read));
        var lines = LogRow()
            .Matches(SourceTree.Read("docs/operations.md"))
            .Select(x => x.Groups["line"].Value)
            .ToList();

        lines.Count.ShouldBeGreaterThan(10);
        foreach (var line in lines)
            source.ShouldContain($"\"{line}\"");
    }

    [Fact]
    public void Links_lead_to_files()
    {
        string[] pages = ["README.md", "CHANGELOG.md", .. Pages("docs"), .. Pages("docs/adr")];
        var broken =
            from page in pages
            from link in Link().Matches(SourceTree.Read(page)).Select(x => x.Groups["path"].Value)
            where !Path.Exists(Path.Combine(SourceTree.Root, Path.GetDirectoryName(page)!, link))
            select $"{page}: {link}";

        broken.ShouldBeEmpty();
    }

    [Fact]
    public void Files_that_the_architecture_page_names_exist()
    {
        var named = SourceFile().Matches(SourceTree.Read("docs/architecture.md")).Select(x => x.Value);
        var files = SourceTree.Files("src").Concat(SourceTree.Files("tests")).ToList();

        var unknown = named.Where(name =>
            !File.Exists(Path.Combine(SourceTree.Root, name))
            && !files.Exists(x => x.EndsWith("/" + name, StringComparison.Ordinal))
        );

        unknown.ShouldBeEmpty();
    }

    [Fact]
    public async Task Verbs_of_the_readme_exist()
    {
        var verbs = Verb()
            .Matches(SourceTree.Read("README.md"))
            .Select(x => x.Groups["verb"].Value)
            .ToHashSet(StringComparer.Ordinal);

        var help = await HelpAsync();

        verbs.Count.ShouldBeGreaterThan(30);
        foreach (var verb in verbs)
            help.ShouldContain($"\n  {verb} ");
    }

    private static async Task<string> HelpAsync()
    {
        var program = Programs.Publisher;
        var start = new ProcessStartInfo("dotnet", [program, "--help"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        using var process = Process.Start(start)!;
        var help = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return help;
    }

    private static IEnumerable<string> Pages(string folder) =>
        Directory
            .EnumerateFiles(Path.Combine(SourceTree.Root, folder), "*.md")
            .Select(x => Path.GetRelativePath(SourceTree.Root, x));

    /// <summary>Text below each heading of the second level, by its title; the whole page under <c>*</c>.</summary>
    private static Dictionary<string, string> Sections(string page)
    {
        var text = SourceTree.Read(page);
        var sections = text.Split("\n## ")
            .Skip(1)
            .ToDictionary(x => x[..x.IndexOf('\n', StringComparison.Ordinal)], StringComparer.Ordinal);
        sections["*"] = text.Replace("scenes[].", "", StringComparison.Ordinal);
        return sections;
    }

    private static string[] Names(string json)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateObject().Select(x => x.Name).Order(StringComparer.Ordinal)];
    }

    [GeneratedRegex("```json\n(?<json>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex JsonExample();

    [GeneratedRegex(@"^\| (?<cell>`\w+__[^|]*) \|", RegexOptions.Multiline | RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex SettingRow();

    [GeneratedRegex(@"\w+__\w+", RegexOptions.None, 5000)]
    private static partial Regex Variable();

    [GeneratedRegex(
        @"^\| (Information|Warning|Error) \| `(?<line>[^`]+)` \|",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex LogRow();

    [GeneratedRegex(@"\]\((?<path>[^)#:]+)(#[^)]*)?\)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Link();

    [GeneratedRegex(@"[\w/.]+\.(cs|sql|txt)\b", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex SourceFile();

    [GeneratedRegex(@"`publisher (?<verb>[a-z-]+)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Verb();
}
