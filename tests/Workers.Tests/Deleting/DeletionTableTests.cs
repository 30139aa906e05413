using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using MassTransit;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Deleting;

/// <summary>The table of docs/deletion.md and the state machine name the same events in the same states.</summary>
public sealed partial class DeletionTableTests
{
    // MassTransit's own; a deletion's row begins as Tombstoned, and nothing is finalized.
    private static readonly string[] NotOurs = ["Initial", "Final"];

    private readonly DeletionStateMachine _machine = new(
        (DeletionDesk)RuntimeHelpers.GetUninitializedObject(typeof(DeletionDesk))
    );

    [Fact]
    public void Every_event_of_every_state_is_in_the_table_and_no_other()
    {
        var handled = States().SelectMany(x => _machine.NextEvents(x).Select(e => $"{x.Name} {e.Name}"));

        Rows()
            .Select(x => $"{x.State} {x.Event}")
            .Order(StringComparer.Ordinal)
            .ShouldBe(handled.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_state_knows_what_to_do_with_every_event()
    {
        string[] own = ["Due", "RetryAsked", "StepDone", "StepFailed"];

        foreach (var state in States())
            _machine
                .NextEvents(state)
                .Select(x => x.Name)
                .Order(StringComparer.Ordinal)
                .ShouldBe(own.Order(StringComparer.Ordinal), state.Name);
    }

    [Fact]
    public void States_that_the_table_leads_to_exist()
    {
        var states = States().Select(x => x.Name).ToArray();

        foreach (var (_, _, next) in Rows())
        foreach (Match name in StateName().Matches(next))
            states.ShouldContain(x => x == name.Groups["state"].Value);
    }

    private IEnumerable<State> States() => _machine.States.Where(x => !NotOurs.Contains(x.Name));

    private static List<(string State, string Event, string Next)> Rows() =>
        [
            .. Row()
                .Matches(SourceTree.Read("docs/deletion.md"))
                .Select(x => (x.Groups["state"].Value, x.Groups["event"].Value, x.Groups["next"].Value)),
        ];

    [GeneratedRegex(
        @"^\| `(?<state>\w+)` \| `(?<event>\w+)` \| [^|]+ \| (?<next>[^|]+) \|$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        5000
    )]
    private static partial Regex Row();

    [GeneratedRegex("`(?<state>[^`]+)`", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex StateName();
}
