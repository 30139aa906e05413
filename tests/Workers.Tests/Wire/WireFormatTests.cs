using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using MassTransit;
using Pipeline.Contracts;
using Pipeline.Wire;
using Xunit;

namespace Pipeline.Workers.Tests.Wire;

/// <summary>
/// Every contract as other services see it. Names are the wire identity: what is approved here may grow by optional
/// properties and new messages, and nothing else may ever change.
/// </summary>
public sealed class WireFormatTests
{
    private static readonly NullabilityInfoContext Nullability = new();

    private static readonly Dictionary<Type, string> Scalars = new()
    {
        [typeof(Guid)] = "string, UUID",
        [typeof(string)] = "string",
        [typeof(int)] = "number, 32 bit",
        [typeof(long)] = "number, 64 bit",
        [typeof(bool)] = "boolean",
        [typeof(DateTimeOffset)] = "string, ISO 8601",
    };

    [Fact]
    public void Contracts_are_as_approved()
    {
        var text = new StringBuilder();
        var contracts = typeof(ILaneCommand)
            .Assembly.GetExportedTypes()
            .Where(x => x is { IsClass: true, IsAbstract: false })
            .OrderBy(x => x.FullName, StringComparer.Ordinal);
        foreach (var contract in contracts)
        {
            text.Append(WireNames.ExchangeOf(contract)).Append(' ').Append(MessageUrn.ForTypeString(contract));
            text.Append(typeof(ILaneCommand).IsAssignableFrom(contract) ? " (lane command)\n" : "\n");
            foreach (var property in Properties(contract))
                text.Append("  ").Append(property.Name).Append(": ").Append(Shape(property)).Append('\n');
        }

        text.ToString().ShouldBeApproved("WireFormat");
    }

    private static IEnumerable<JsonPropertyInfo> Properties(Type contract)
    {
        var options = new JsonSerializerOptions(WireJson.Options)
        {
            TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        };
        return options.GetTypeInfo(contract).Properties;
    }

    private static string Shape(JsonPropertyInfo property)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        var mayBeNull =
            Nullability.Create((PropertyInfo)property.AttributeProvider!).ReadState == NullabilityState.Nullable;
        return Shape(type) + (mayBeNull ? " or null" : "");
    }

    private static string Shape(Type type)
    {
        if (Scalars.TryGetValue(type, out var scalar))
            return scalar;
        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
            return $"array of {Shape(type.GetGenericArguments()[0])}";
        return WireNames.ExchangeOf(type);
    }
}
