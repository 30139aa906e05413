using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Architecture;

/// <summary>
/// A command's id counts within its scope. Whoever looks for a receipt by an id alone, or under another scope than the
/// workers write it, finds nothing, or another project's.
/// </summary>
public sealed partial class CommandKeyTests
{
    /// <summary>Where keys are made of rows, of a path, or of ids that are not sent yet.</summary>
    private static readonly string[] MayMakeKeys =
    [
        "src/Publisher/Generating/GenerationMessages.cs",
        "src/Publisher/Generating/GenerationReads.cs",
        "src/Publisher/Generating/GenerationWait.cs",
        "src/Publisher/Serving/ReceiptEndpoints.cs",
        "src/Publisher/Status/ReceiptReads.cs",
    ];

    /// <summary>Statements whose command ids the pipeline has drawn at random, so that no other scope has them.</summary>
    private static readonly string[] MayJoinByIdAlone =
    [
        "src/Workers/Deleting/PurgeBeginning.cs",
        "src/Workers/Reconciling/KnownKeys.cs",
        "src/Workers/Reconciling/RepairDesk.cs",
    ];

    [Fact]
    public void Key_of_every_command_is_of_its_project_and_of_its_sender_where_it_names_none()
    {
        var sender = CommandKey.ScopeOf("shop");
        foreach (var type in MessageCatalog.Public.Where(x => x.IsCommand).Select(x => x.Type))
        {
            var command = RuntimeHelpers.GetUninitializedObject(type);
            var (id, project) = (Guid.NewGuid(), Guid.NewGuid());
            type.GetProperty("CommandId")!.SetValue(command, id);
            var ofProject = type.GetProperty("ProjectId");

            CommandKey.Of(command).ShouldBe(new CommandKey(Guid.Empty, id), type.Name);
            CommandKey.Of(command, "shop").ShouldBe(new CommandKey(sender, id), type.Name);
            ofProject?.SetValue(command, project);
            CommandKey
                .Of(command, "shop")
                .ShouldBe(new CommandKey(ofProject is null ? sender : project, id), type.Name);
        }
    }

    [Fact]
    public void Publisher_takes_the_keys_of_what_it_sends_from_the_commands_themselves() =>
        SourceTree
            .Files("src/Publisher")
            .Where(x => Key().IsMatch(SourceTree.Code(x)))
            .ShouldBe(MayMakeKeys, ignoreOrder: true);

    [Fact]
    public void Statements_that_look_for_a_receipt_by_its_command_say_the_scope()
    {
        var astray =
            from file in SourceTree.Files("src")
            from literal in Literal().Matches(SourceTree.Read(file)).Select(x => x.Value)
            where literal.Contains(".receipts", StringComparison.Ordinal)
            where ById().IsMatch(literal) && !literal.Contains("scope", StringComparison.Ordinal)
            select file;

        astray.Distinct(StringComparer.Ordinal).Except(MayJoinByIdAlone, StringComparer.Ordinal).ShouldBeEmpty();
    }

    [GeneratedRegex(@"new CommandKey\(|new\(Guid\.Empty", RegexOptions.None, 5000)]
    private static partial Regex Key();

    [GeneratedRegex("\"\"\"(?s:.*?)\"\"\"|\"(?:[^\"\\\\\\n]|\\\\.)*\"", RegexOptions.None, 5000)]
    private static partial Regex Literal();

    [GeneratedRegex(@"\bcommand_id\s*(=|in\b)", RegexOptions.ExplicitCapture, 5000)]
    private static partial Regex ById();
}
