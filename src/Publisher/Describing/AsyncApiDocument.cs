using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;

namespace Pipeline.Publisher.Describing;

/// <summary>
/// The pipeline's messages as an AsyncAPI document, from the pipeline's side: it receives commands and sends events.
/// </summary>
/// <remarks>
/// AsyncAPI 3.0.0 (specification, "AsyncAPI Object"), AMQP bindings 0.3.0. In those a channel that is a routing key has
/// the key as its address, and the exchange in its bindings.
/// </remarks>
internal static class AsyncApiDocument
{
    private const string BindingVersion = "0.3.0";
    private const int Persistent = 2;

    private const string About = """
        Other services publish commands to exchanges and bind queues to events. Every command that the broker confirmed
        ends in exactly one receipt (GET /projects/{projectId}/receipts/{commandId} of the publisher); sending it again under the same id
        changes nothing a second time. Set the AMQP properties type (the message's name), message_id (the command id),
        content_type, delivery_mode 2 and the mandatory flag. Commands to the lanes need the project's id as routing
        key, because it decides their order. A body may also come in MassTransit's envelope
        (application/vnd.masstransit+json) or as a CloudEvent 1.0, binary or structured. Properties that a schema does
        not name are ignored. A body that breaks its schema is answered with a rejected receipt that names path and rule.
        """;

    /// <summary>The whole document; the same for every deployment.</summary>
    public static JsonObject Write()
    {
        var messages = MessageCatalog.Public.ToArray();
        return new JsonObject
        {
            ["asyncapi"] = "3.0.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Image pipeline",
                ["version"] = typeof(AsyncApiDocument).Assembly.GetName().Version!.ToString(3),
                ["description"] = About.ReplaceLineEndings(" "),
                ["x-receipt-outcomes"] = Map(MessageCatalog.Outcomes, x => x.Key, x => x.Value),
            },
            ["defaultContentType"] = WireJson.ContentType,
            ["servers"] = new JsonObject { ["broker"] = Server() },
            ["channels"] = Map(messages, x => x.Name, Channel),
            ["operations"] = Map(messages, OperationName, Operation),
            ["components"] = new JsonObject
            {
                ["messages"] = Map(messages, x => x.Name, Message),
                ["schemas"] = Map(messages, x => x.Name, Payload),
                ["securitySchemes"] = new JsonObject
                {
                    ["user"] = new JsonObject { ["type"] = "userPassword", ["description"] = "A user of the broker." },
                },
            },
        };
    }

    /// <summary>As text: two blanks a level, so that a change reads well as a diff.</summary>
    public static string WriteText() => Write().ToJsonString(Indented) + "\n";

    internal static JsonSerializerOptions Indented { get; } =
        new(WireJson.Options) { WriteIndented = true, NewLine = "\n" };

    /// <summary>How the exchange of a message hands it on: to every queue, or to those that asked for the project.</summary>
    internal static string ExchangeTypeOf(MessageContract message) =>
        message.Kind == MessageKind.Event ? "topic" : "fanout";

    private static JsonObject Server() =>
        new()
        {
            ["host"] = "{host}:{port}",
            ["pathname"] = "/{vhost}",
            ["protocol"] = "amqp",
            ["protocolVersion"] = "0.9.1",
            ["description"] = "RabbitMQ.",
            ["variables"] = new JsonObject
            {
                ["host"] = new JsonObject { ["default"] = "localhost" },
                ["port"] = new JsonObject { ["default"] = "5672" },
                ["vhost"] = new JsonObject { ["default"] = "pipeline" },
            },
            ["security"] = new JsonArray(Reference("securitySchemes", "user")),
        };

    private static JsonObject Channel(MessageContract message)
    {
        var isKeyed = message.Requires("projectId");
        var channel = new JsonObject
        {
            ["address"] = isKeyed ? "{projectId}" : null,
            ["title"] = message.Name,
            ["summary"] = message.Summary,
            ["messages"] = new JsonObject { [message.Name] = Reference("messages", message.Name) },
        };
        if (isKeyed)
        {
            channel["parameters"] = new JsonObject
            {
                ["projectId"] = new JsonObject
                {
                    ["description"] = "The routing key: the project's id, in lower case.",
                    ["location"] = "$message.payload#/projectId",
                },
            };
        }

        channel["bindings"] = Amqp(
            new JsonObject
            {
                ["is"] = "routingKey",
                ["exchange"] = new JsonObject
                {
                    ["name"] = message.Name,
                    ["type"] = ExchangeTypeOf(message),
                    ["durable"] = true,
                    ["autoDelete"] = false,
                    ["vhost"] = "pipeline",
                },
            }
        );
        return channel;
    }

    private static string OperationName(MessageContract message) =>
        $"{(message.IsCommand ? "receive" : "send")}-{message.Name}";

    private static JsonObject Operation(MessageContract message)
    {
        var delivery = new JsonObject { ["deliveryMode"] = Persistent };
        if (message.IsCommand)
            delivery["mandatory"] = true;
        return new JsonObject
        {
            ["action"] = message.IsCommand ? "receive" : "send",
            ["channel"] = new JsonObject { ["$ref"] = $"#/channels/{message.Name}" },
            ["summary"] = message.Summary,
            ["tags"] = new JsonArray(new JsonObject { ["name"] = TagOf(message) }),
            ["bindings"] = Amqp(delivery),
            ["messages"] = new JsonArray(
                new JsonObject { ["$ref"] = $"#/channels/{message.Name}/messages/{message.Name}" }
            ),
        };
    }

    private static JsonObject Message(MessageContract message)
    {
        var written = new JsonObject
        {
            ["name"] = message.Name,
            ["title"] = message.Name,
            ["summary"] = message.Summary,
            ["contentType"] = WireJson.ContentType,
            ["payload"] = Reference("schemas", message.Name),
            ["bindings"] = Amqp(new JsonObject { ["messageType"] = message.Name }),
        };
        if (message.Remarks is not null)
            written["description"] = message.Remarks;
        if (message.Requires("commandId"))
            written["correlationId"] = new JsonObject { ["location"] = "$message.payload#/commandId" };
        if (message.Example is not null)
        {
            written["examples"] = new JsonArray(
                new JsonObject { ["name"] = message.Name, ["payload"] = message.Example.DeepClone() }
            );
        }

        return written;
    }

    // AsyncAPI's own dialect takes every keyword that the schemas use; it only knows no $schema and no $id of ours.
    private static JsonObject Payload(MessageContract message)
    {
        var schema = message.Schema();
        schema.Remove("$schema");
        schema.Remove("$id");
        return schema;
    }

    private static string TagOf(MessageContract message) =>
        message.Kind switch
        {
            MessageKind.LaneCommand => "command, in the project's order",
            MessageKind.Command => "command",
            _ => "event",
        };

    private static JsonObject Amqp(JsonObject binding)
    {
        binding["bindingVersion"] = BindingVersion;
        return new JsonObject { ["amqp"] = binding };
    }

    private static JsonObject Reference(string kind, string name) => new() { ["$ref"] = $"#/components/{kind}/{name}" };

    private static JsonObject Map<T>(IEnumerable<T> items, Func<T, string> name, Func<T, JsonNode?> value) =>
        new(items.Select(x => KeyValuePair.Create(name(x), value(x))));
}
