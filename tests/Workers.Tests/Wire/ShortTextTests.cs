using Pipeline.Wire;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Wire;

public sealed class ShortTextTests
{
    [Theory]
    [InlineData("abc", 3, "abc")]
    [InlineData("abcd", 3, "abc")]
    [InlineData("ab🎉", 4, "ab🎉")]
    [InlineData("ab🎉", 3, "ab")]
    [InlineData("ab🎉d", 4, "ab🎉")]
    public void A_text_is_never_cut_within_a_character(string text, int length, string cut) =>
        ShortText.Cut(text, length).ShouldBe(cut);
}
