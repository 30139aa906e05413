using System.Net.Http.Headers;
using System.Text;

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

    /// <summary>The broker's management API, as its administrator.</summary>
    public static HttpClient Management()
    {
        var login = $"{Required("Management__Username")}:{Required("Management__Password")}";
        return new HttpClient
        {
            BaseAddress = new Uri(Required("Management__Url")),
            DefaultRequestHeaders =
            {
                Authorization = new AuthenticationHeaderValue(
                    "Basic",
                    Convert.ToBase64String(Encoding.UTF8.GetBytes(login))
                ),
            },
        };
    }
}
