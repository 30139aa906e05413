using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Lanes.Model;

/// <summary>Order, exactly-once effect and liveness of a lane in any interleaving that the model can think of.</summary>
public sealed class LaneModelTests(ITestOutputHelper output)
{
    private const int Runs = 100_000;
    private const int MutantRuns = 20_000;

    [Fact]
    public void Every_interleaving_keeps_the_invariants()
    {
        var first = Environment.TickCount & 0x3FFFFFFF;
        output.WriteLine($"seeds from {first}");
        for (var seed = first; seed < first + Runs; seed++)
        {
            if (new LaneModel(seed, Mutant.None).Run() is { } broken)
                Assert.Fail($"seed {seed}: {broken}");
        }
    }

    [Theory]
    [InlineData(Mutant.CancelsBeforeClose, "order")]
    [InlineData(Mutant.AcknowledgesTooMuch, "I4")]
    [InlineData(Mutant.ReleasesBeforeClose, "I6")]
    public void A_mistake_is_noticed(Mutant mutant, string invariant)
    {
        var first = Environment.TickCount & 0x3FFFFFFF;
        output.WriteLine($"seeds from {first}");
        for (var seed = first; seed < first + MutantRuns; seed++)
        {
            if (
                new LaneModel(seed, mutant).Run() is { } broken
                && broken.StartsWith(invariant, StringComparison.Ordinal)
            )
            {
                output.WriteLine($"seed {seed}, after {seed - first + 1} runs: {broken}");
                return;
            }
        }

        Assert.Fail($"{MutantRuns} runs have not noticed that a lane {mutant}.");
    }
}
