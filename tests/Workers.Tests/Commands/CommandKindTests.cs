using System.Text.RegularExpressions;
using MassTransit;
using Pipeline.Contracts;
using Pipeline.Wire.Schemas;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Tests.Architecture;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Commands;

/// <summary>
/// Who carries out a command decides who writes its receipt. A command that nobody carries out, or two, breaks the
/// build here and not a customer.
/// </summary>
public sealed partial class CommandKindTests
{
    private static readonly Type[] Types = typeof(WorkerHost).Assembly.GetTypes();

    private static readonly Type[] OfLanes = [.. Arguments(x => x.BaseType, typeof(LaneHandler<>))];

    private static readonly Type[] OfHandlers =
    [
        .. Types.Where(x => !x.IsAbstract).SelectMany(x => ArgumentsOf(x, typeof(ICommandHandler<>))),
    ];

    /// <summary>Of messages that are no commands, besides <see cref="CommandConsumer{T}"/>, which has the handlers.</summary>
    private static readonly Type[] OfConsumers = [.. Types.SelectMany(x => ArgumentsOf(x, typeof(IConsumer<>)))];

    private static readonly (Type Machine, string Event, Type Message)[] OfSagas =
    [
        .. from machine in Types
        where typeof(StateMachine).IsAssignableFrom(machine) && !machine.IsAbstract
        from property in machine.GetProperties()
        where IsOf(property.PropertyType, typeof(Event<>))
        select (machine, property.Name, property.PropertyType.GetGenericArguments()[0]),
    ];

    [Fact]
    public void Every_public_command_is_carried_by_a_lane_a_handler_or_a_saga_and_by_one_of_them_alone()
    {
        var commands = MessageCatalog.Public.Where(x => x.IsCommand).ToArray();
        commands.Length.ShouldBeGreaterThan(20);
        var astray =
            from command in commands
            let carriers = Carriers(command.Type).ToArray()
            where carriers.Length != 1
            select $"{command.Name}: {string.Join(", ", carriers)}";

        astray.ShouldBeEmpty();
    }

    [Fact]
    public void Lane_commands_are_those_that_lanes_carry() =>
        MessageCatalog
            .All.Select(x => x.Type)
            .Where(typeof(ILaneCommand).IsAssignableFrom)
            .ShouldBe(OfLanes, ignoreOrder: true);

    [Fact]
    public void Saga_takes_a_persons_command_only_where_it_is_new()
    {
        var commands = MessageCatalog.Public.Where(x => x.IsCommand).Select(x => x.Type).ToArray();
        var taken = OfSagas.Where(x => commands.Contains(x.Message)).ToArray();
        taken.Length.ShouldBeGreaterThan(3);
        foreach (var (machine, name, message) in taken)
        {
            var code = SourceTree.Code(
                SourceTree.Files("src/Workers").Single(x => x.EndsWith($"/{machine.Name}.cs", StringComparison.Ordinal))
            );
            var uses = Taken().Matches(code).Where(x => x.Groups["event"].Value == name).ToArray();
            uses.ShouldNotBeEmpty($"{machine.Name}: {message.Name}");
            uses.ShouldAllBe(x => x.Groups["next"].Value == "IfNew" || x.Groups["next"].Value == "LeaveAsItIs");
        }
    }

    private static IEnumerable<string> Carriers(Type command) =>
        [
            .. OfLanes.Where(x => x == command).Select(_ => "a lane"),
            .. OfHandlers.Where(x => x == command).Select(_ => "a handler"),
            .. OfConsumers.Where(x => x == command).Select(_ => "a consumer without a receipt"),
            .. OfSagas.Where(x => x.Message == command).Select(x => x.Machine.Name),
        ];

    private static IEnumerable<Type> Arguments(Func<Type, Type?> of, Type generic) =>
        Types
            .Where(x => !x.IsAbstract)
            .Select(of)
            .Where(x => x is not null && IsOf(x, generic))
            .Select(x => x!.GetGenericArguments()[0]);

    private static IEnumerable<Type> ArgumentsOf(Type type, Type generic) =>
        type.GetInterfaces().Where(x => IsOf(x, generic)).Select(x => x.GetGenericArguments()[0]);

    private static bool IsOf(Type type, Type generic) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == generic;

    [GeneratedRegex(@"When\((?<event>\w+)[^)]*\)\s*\.(?<next>\w+)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex Taken();
}
