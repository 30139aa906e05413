using System.Diagnostics.Metrics;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>The table of metrics and the instruments of a worker are the same, with their units.</summary>
public sealed partial class MetricsTests
{
    private const string Measuring = "Metrics";

    [Fact]
    public void Table_and_instruments_are_the_same()
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, _) =>
            {
                if (instrument.Meter.Name.StartsWith("Pipeline.Workers.", StringComparison.Ordinal))
                    found.Add($"{instrument.Name} {instrument.Unit}");
            },
        };
        listener.Start();
        using var worker = WorkerHost.Build();
        foreach (var type in typeof(WorkerHost).Assembly.GetTypes().Where(IsMeasuring))
            worker.Services.GetRequiredService(type);

        found.Count.ShouldBeGreaterThan(10);
        var table = Row()
            .Matches(SourceTree.Read("docs/operations.md"))
            .Select(x => $"{x.Groups["name"].Value} {x.Groups["unit"].Value}");
        table.Order(StringComparer.Ordinal).ShouldBe(found);
    }

    // So that the test above sees every instrument.
    [Fact]
    public void Instruments_stand_in_classes_that_are_named_after_them() =>
        SourceTree
            .Files("src/Workers")
            .Where(x => Instrument().IsMatch(SourceTree.Code(x)))
            .Where(x => !Path.GetFileNameWithoutExtension(x).EndsWith(Measuring, StringComparison.Ordinal))
            .ShouldBeEmpty();

    private static bool IsMeasuring(Type type) =>
        !type.IsNested && type.Name.EndsWith(Measuring, StringComparison.Ordinal);

    [GeneratedRegex(
        @"^\| `(?<name>pipeline\.[a-z.]+)` \| [^|]+ \| `?(?<unit>[^|`]+)`? \|",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex Row();

    [GeneratedRegex(
        @"\.Create(Observable)?(Counter|UpDownCounter|Gauge|Histogram)\b|new Meter\(",
        RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex Instrument();
}
