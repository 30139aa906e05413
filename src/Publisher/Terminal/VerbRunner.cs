using System.CommandLine;
using Pipeline.Publisher.Settings;

namespace Pipeline.Publisher.Terminal;

/// <summary>What a verb has at hand.</summary>
internal sealed record VerbContext(
    PublisherSettings Settings,
    Screen Screen,
    TimeProvider Clock,
    IConfiguration Configuration
);

/// <summary>Makes commands out of verbs.</summary>
internal sealed class VerbRunner(IConfiguration configuration, TimeProvider clock, Func<ParseResult, Screen> screen)
{
    /// <param name="name">What is typed.</param>
    /// <param name="help">What it does, and examples.</param>
    /// <param name="symbols">Its arguments and options.</param>
    /// <param name="run">Returns the exit status. What it throws is told by <see cref="Failures"/>.</param>
    public Command Command(
        string name,
        string help,
        IEnumerable<Symbol> symbols,
        Func<ParseResult, VerbContext, CancellationToken, Task<int>> run
    )
    {
        var command = new Command(name, help);
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
                command.Add(argument);
            else if (symbol is Option option)
                command.Add(option);
        }

        command.SetAction(
            (parsed, cancellation) =>
                run(
                    parsed,
                    new(new PublisherSettings(configuration), screen(parsed), clock, configuration),
                    cancellation
                )
        );
        return command;
    }
}

/// <summary>Options that several verbs take.</summary>
internal static class SharedOptions
{
    public static Option<Guid?> Id(string name, string help)
    {
        var option = new Option<Guid?>(name) { Description = help, HelpName = "UUID" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Guid.TryParse(token.Value, out var id) && id == Guid.Empty)
                result.AddError($"{name} must not be all zeros.");
        });
        return option;
    }

    public static Option<Guid?> RequiredId(string name, string help)
    {
        var option = Id(name, help);
        option.Required = true;
        return option;
    }

    public static Option<int?> Number(string name, string help, int min, int max)
    {
        var option = new Option<int?>(name) { Description = $"{help} {min} to {max}.", HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (
                result.Tokens is [var token]
                && int.TryParse(token.Value, out var number)
                && (number < min || number > max)
            )
                result.AddError($"{name} must be {min} to {max}, not {number}.");
        });
        return option;
    }
}
