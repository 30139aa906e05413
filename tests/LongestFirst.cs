using System.Reflection;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Tests;

/// <summary>
/// Begins with the classes whose tests take longest together, so that no core is idle while the last of them ends. They
/// are marked with the trait <see cref="Speed"/>, by what <c>./test</c> prints at its end.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections) =>
        testCollections.OrderBy(x => IsSlow(x) ? 0 : 1).ThenBy(x => x.DisplayName, StringComparer.Ordinal);

    private static bool IsSlow(ITestCollection collection)
    {
        // Each class is a collection of its own, named "Test collection for NAMESPACE.CLASS".
        var name = collection.DisplayName.Split(' ')[^1];
        var traits = typeof(LongestFirst).Assembly.GetType(name)?.GetCustomAttributesData() ?? [];
        return traits.Any(x =>
            x.AttributeType == typeof(TraitAttribute)
            && x.ConstructorArguments is [{ Value: Speed.Name }, { Value: Speed.Slow }]
        );
    }
}

/// <summary>A trait of test classes.</summary>
public static class Speed
{
    public const string Name = "Speed";

    /// <summary>The class takes longer than most, and begins first. <c>./test --fast</c> leaves it out.</summary>
    public const string Slow = "slow";

    /// <summary>One of the few system tests of <c>./test --fast</c>.</summary>
    public const string Fast = "fast";
}
