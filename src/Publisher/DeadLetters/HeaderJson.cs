using System.Text;
using System.Text.Json.Nodes;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>
/// AMQP headers as JSON. Texts, whole numbers, booleans, lists and null stand for themselves; what JSON has no word for
/// is an object with one member: <c>$table</c>, <c>$time</c> (seconds), <c>$real</c>, <c>$base64</c>.
/// </summary>
internal static class HeaderJson
{
    private const string Table = "$table";
    private const string Time = "$time";
    private const string Real = "$real";
    private const string Bytes = "$base64";

    public static JsonObject Write(IEnumerable<KeyValuePair<string, object?>> headers) =>
        new(headers.Select(x => KeyValuePair.Create(x.Key, WriteOne(x.Value))));

    /// <exception cref="FormatException">A value is none of these.</exception>
    public static Dictionary<string, object?> Read(JsonObject headers) =>
        headers.ToDictionary(x => x.Key, x => ReadOne(x.Value), StringComparer.Ordinal);

    private static JsonNode? WriteOne(object? value) =>
        value switch
        {
            null => null,
            // The client gives texts as bytes; which of the two it was, the wire does not tell.
            byte[] bytes => IsText(bytes)
                ? JsonValue.Create(Encoding.UTF8.GetString(bytes))
                : new JsonObject { [Bytes] = Convert.ToBase64String(bytes) },
            string text => JsonValue.Create(text),
            bool yes => JsonValue.Create(yes),
            AmqpTimestamp time => new JsonObject { [Time] = time.UnixTime },
            float or double or decimal => new JsonObject { [Real] = Convert.ToDouble(value) },
            byte or sbyte or short or ushort or int or uint or long => JsonValue.Create(Convert.ToInt64(value)),
            IDictionary<string, object?> table => new JsonObject { [Table] = Write(table) },
            System.Collections.IEnumerable list => new JsonArray([.. list.Cast<object?>().Select(WriteOne)]),
            _ => throw new NotSupportedException($"A header of type {value.GetType().Name} cannot be exported."),
        };

    private static object? ReadOne(JsonNode? node) =>
        node switch
        {
            null => null,
            JsonArray list => list.Select(ReadOne).ToList(),
            JsonObject { Count: 1 } one => one.First() switch
            {
                (Table, JsonObject table) => Read(table),
                (Time, { } time) => new AmqpTimestamp(time.GetValue<long>()),
                (Real, { } real) => real.GetValue<double>(),
                (Bytes, { } bytes) => Convert.FromBase64String(bytes.GetValue<string>()),
                var (name, _) => throw new FormatException($"'{name}' is no kind of header."),
            },
            JsonValue value when value.TryGetValue<string>(out var text) => text,
            JsonValue value when value.TryGetValue<bool>(out var yes) => yes,
            JsonValue value when value.TryGetValue<int>(out var number) => number,
            JsonValue value when value.TryGetValue<long>(out var number) => number,
            _ => throw new FormatException($"{node.ToJsonString()} is no header."),
        };

    private static bool IsText(byte[] bytes) => System.Text.Unicode.Utf8.IsValid(bytes);
}
