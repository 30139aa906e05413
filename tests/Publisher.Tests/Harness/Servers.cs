namespace Pipeline.Publisher.Tests.Harness;

/// <summary>The real servers that ./test starts, found through the environment. A test that lacks one fails: it never skips.</summary>
internal static class Servers
{
    /// <summary>With the workers' login: tests declare exchanges and queues, which the publisher's may not.</summary>
    public static Uri Broker => new(Required("ConnectionStrings__RabbitMq"));

    public static string Required(string variable) =>
        Environment.GetEnvironmentVariable(variable) is { Length: > 0 } value
            ? value
            : throw new InvalidOperationException(
                $"{variable} is not set. Run ./test, or: eval \"$(eng/services env test)\""
            );
}
