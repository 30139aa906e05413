using System.Text.RegularExpressions;
using MassTransit;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>A page's table and a state machine name the same events in the same states.</summary>
public abstract partial class SagaTable
{
    private const string NoInstance = "Initial";

    private protected abstract StateMachine Machine { get; }

    private protected abstract string Page { get; }

    [Fact]
    public void Every_event_of_every_state_is_in_the_table_and_no_other()
    {
        var handled = States().SelectMany(x => Machine.NextEvents(x).Select(e => $"{x.Name} {e.Name}"));

        Rows()
            .Select(x => $"{x.State} {x.Event}")
            .Order(StringComparer.Ordinal)
            .ShouldBe(handled.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_state_knows_what_to_do_with_every_event()
    {
        var own = Machine
            .GetType()
            .GetProperties()
            .Where(x => typeof(Event).IsAssignableFrom(x.PropertyType))
            .Select(x => x.Name)
            .ToArray();

        own.Length.ShouldBeGreaterThan(0);
        foreach (var state in States().Where(x => x.Name != NoInstance))
            Machine
                .NextEvents(state)
                .Select(x => x.Name)
                .Intersect(own, StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)
                .ShouldBe(own.Order(StringComparer.Ordinal), state.Name);
    }

    [Fact]
    public void States_that_the_table_leads_to_exist()
    {
        var states = States().Select(x => x.Name).ToArray();

        foreach (var (state, _, next) in Rows())
        {
            states.ShouldContain(x => x == state);
            foreach (Match name in StateName().Matches(next))
                states.ShouldContain(x => x == name.Groups["state"].Value);
        }
    }

    private IEnumerable<State> States() => Machine.States.Where(x => x.Name != "Final");

    private List<(string State, string Event, string Next)> Rows() =>
        [
            .. Row()
                .Matches(SourceTree.Read(Page))
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
