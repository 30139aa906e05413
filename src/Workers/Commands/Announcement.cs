using System.Text;
using System.Text.Json;
using Pipeline.Wire;

namespace Pipeline.Workers.Commands;

/// <summary>An event, kept with the receipt so that a redelivery announces the same bytes again.</summary>
/// <param name="Exchange">The event's exchange.</param>
/// <param name="MessageId">Derived from the command, so that a listener can tell a repetition.</param>
/// <param name="Body">JSON in UTF-8.</param>
internal sealed record Announcement(string Exchange, Guid MessageId, byte[] Body)
{
    /// <param name="command">The command that caused the event.</param>
    /// <param name="message">The event.</param>
    /// <param name="part">Tells several events of one type apart, such as the image id.</param>
    public static Announcement Of<T>(CommandKey command, T message, string part = "")
    {
        var exchange = WireNames.ExchangeOf<T>();
        return new Announcement(exchange, command.Derive(exchange + part), WireJson.Write(message));
    }

    /// <param name="cause">What caused the event, where that is no single command: an id that nothing else has.</param>
    /// <param name="message">The event.</param>
    /// <param name="part">Tells several events of one type apart.</param>
    public static Announcement OfCause<T>(Guid cause, T message, string part = "")
    {
        var exchange = WireNames.ExchangeOf<T>();
        return new Announcement(exchange, NameBasedGuid.Create(cause, exchange + part), WireJson.Write(message));
    }

    /// <summary>The message as it goes out, under the project's routing key.</summary>
    /// <param name="projectId">The command's project.</param>
    /// <param name="mandatory">True for a command that follows from this one; events may have no listener.</param>
    public WireMessage ToWire(Guid projectId, bool mandatory = false) =>
        new(Exchange, WireNames.RoutingKeyOf(projectId), MessageId, Body, mandatory);

    /// <summary>The <c>announcements</c> column: <c>[{"exchange":…,"messageId":…,"body":{…}}]</c>.</summary>
    public static string Write(IReadOnlyList<Announcement> announcements)
    {
        var json = new StringBuilder("[");
        foreach (var announcement in announcements)
        {
            if (json.Length > 1)
                json.Append(',');
            json.Append("{\"exchange\":\"").Append(announcement.Exchange);
            json.Append("\",\"messageId\":\"").Append(announcement.MessageId);
            json.Append("\",\"body\":").Append(Encoding.UTF8.GetString(announcement.Body)).Append('}');
        }

        return json.Append(']').ToString();
    }

    /// <summary>The inverse of <see cref="Write"/>; bodies keep their bytes.</summary>
    public static IReadOnlyList<Announcement> Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        return
        [
            .. document
                .RootElement.EnumerateArray()
                .Select(x => new Announcement(
                    x.GetProperty("exchange").GetString()!,
                    x.GetProperty("messageId").GetGuid(),
                    Encoding.UTF8.GetBytes(x.GetProperty("body").GetRawText())
                )),
        ];
    }
}
