using System.Text;
using Pipeline.Workers.Cataloguing;
using Pipeline.Workers.Storage;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Cataloguing;

/// <summary>A store of keys in memory, asked as S3 is: for the first key after another.</summary>
public sealed class KeySpaceSplitterTests
{
    [Fact]
    public async Task Parts_are_cut_where_keys_differ_and_hold_about_the_same()
    {
        var keys = Enumerable.Range(0, 4_000).Select(x => $"projects/{Hex(x)}/picture.png").ToArray();

        var (sizes, probes) = await DivideAsync(keys, parts: 16);

        sizes.Length.ShouldBe(16);
        sizes.Max().ShouldBeLessThan(keys.Length / 8);
        probes.ShouldBeLessThan(60);
    }

    [Fact]
    public async Task Long_common_beginnings_and_numbers_are_divided_too()
    {
        var keys = Enumerable.Range(1, 3_000).Select(x => $"{new string('y', 120)}/{x:D8}.jpg").ToArray();

        var (sizes, probes) = await DivideAsync(keys, parts: 8);

        sizes.Length.ShouldBeGreaterThan(4);
        sizes.Max().ShouldBeLessThan(keys.Length / 2);
        probes.ShouldBeLessThan(100);
    }

    [Fact]
    public async Task One_key_or_a_beginning_of_another_need_no_cut_that_loses_them()
    {
        (await DivideAsync(["only"], parts: 4)).Sizes.Sum().ShouldBe(1);
        (await DivideAsync(["a", "ab", "abc", "abcd"], parts: 4)).Sizes.Sum().ShouldBe(4);
        (await DivideAsync([new string('z', 1_024), new string('z', 1_023) + "y"], parts: 4)).Sizes.Sum().ShouldBe(2);
    }

    [Fact]
    public async Task Any_keys_are_in_exactly_one_part_and_the_questions_are_bounded()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        string[] alphabet = ["a", "b", "/", "ä", "\uFFFD", "🎉", "\U0010FFFF", "0", " ", "+"];
        for (var round = 0; round < 50; round++)
        {
            var keys = Enumerable
                .Range(0, 1 + random.Next(300))
                .Select(_ =>
                    string.Concat(
                        Enumerable.Range(0, 1 + random.Next(6)).Select(_ => alphabet[random.Next(alphabet.Length)])
                    )
                )
                .Distinct(StringComparer.Ordinal)
                .ToArray();

            var (sizes, probes) = await DivideAsync(keys, parts: 1 + random.Next(40));

            sizes.Sum().ShouldBe(keys.Length, $"seed {seed}, round {round}");
            probes.ShouldBeLessThan(260);
        }
    }

    [Fact]
    public void Keys_are_in_the_order_of_their_bytes_and_not_of_utf16() =>
        new[] { "z", "\uFFFD", "🎉", "é", "a" }
            .Order(Comparer<string>.Create(KeyOrder.Compare))
            .ShouldBe(["a", "z", "é", "\uFFFD", "🎉"]);

    private static string Hex(int number) =>
        Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(BitConverter.GetBytes(number)))[..12];

    /// <summary>Keys in each part, cut as the listing does it: after one cut, up to the next.</summary>
    private static async Task<(int[] Sizes, int Probes)> DivideAsync(string[] keys, int parts)
    {
        var sorted = keys.Select(x => (Key: x, Bytes: Encoding.UTF8.GetBytes(x))).ToArray();
        Array.Sort(sorted, (x, y) => x.Bytes.AsSpan().SequenceCompareTo(y.Bytes));
        var probes = 0;
        var cuts = await KeySpaceSplitter.DivideAsync(
            sorted[0].Key,
            parts,
            after =>
            {
                probes++;
                var next = sorted.FirstOrDefault(x => KeyOrder.Compare(x.Key, after) > 0);
                return Task.FromResult<string?>(next.Key);
            }
        );

        cuts.Count.ShouldBeLessThan(parts);
        var sizes = new int[cuts.Count + 1];
        foreach (var (key, _) in sorted)
        {
            var within = Enumerable
                .Range(0, cuts.Count + 1)
                .Where(x =>
                    (x == 0 || KeyOrder.Compare(key, cuts[x - 1]) > 0)
                    && (x == cuts.Count || KeyOrder.Compare(key, cuts[x]) <= 0)
                );
            sizes[within.ShouldHaveSingleItem()]++;
        }

        return (sizes, probes);
    }
}
