using Pipeline.Publisher.Terminal;
using Shouldly;
using Xunit;

namespace Pipeline.Publisher.Tests.Terminal;

public sealed class TextTableTests
{
    [Fact]
    public void Columns_are_as_wide_as_their_widest_cell()
    {
        var table = new TextTable("index", "scene", "url");
        table.Add(1, "a", "/x");
        table.Add(1_000_000, "scene-1", null);

        table.Lines().ShouldBe(["index    scene    url", "1        a        /x", "1000000  scene-1  -"]);
    }

    [Fact]
    public void Cell_cannot_break_its_line_or_drive_the_terminal()
    {
        var table = new TextTable("reason");
        table.Add("a\nb\u001b[2J");

        table.Lines().ShouldBe(["reason", "a?b?[2J"]);
    }

    [Fact]
    public void Long_cell_is_cut()
    {
        var table = new TextTable("reason");
        table.Add(new string('x', 500));

        table.Lines().Last().Length.ShouldBe(120);
    }
}
