using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Terminal;
using Pipeline.Wire;
using Pipeline.Wire.Schemas;
using RabbitMQ.Client;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>A dead letter and the command that is to take its place.</summary>
internal sealed class LetterEdit
{
    private const string CommandId = "commandId";

    // The workers write the record down within milliseconds; this is a bound for those that are busy.
    private static readonly TimeSpan RecordLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan RecordPoll = TimeSpan.FromMilliseconds(100);

    // A name that stands twice could be changed once.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly DeadLetter _letter;
    private readonly WireMessage _message;

    private LetterEdit(DeadLetter letter, WireMessage message)
    {
        _letter = letter;
        _message = message;
    }

    public Guid SuccessorId => _message.MessageId;

    /// <param name="letter">A command.</param>
    /// <param name="body">The whole new body; its <c>commandId</c> is replaced.</param>
    /// <exception cref="UsageException">The letter cannot be edited, or the body breaks the command's schema.</exception>
    public static LetterEdit Of(DeadLetter letter, string body)
    {
        if (letter.CommandId is not { } old)
            throw new UsageException("A message without an id cannot be edited: nothing could name it as what it was.");
        if (
            letter.Type is not { } type
            || !MessageCatalog.TryFind(type, out var contract)
            || !contract.Requires(CommandId)
        )
            throw new UsageException($"Only commands can be edited, and '{letter.Type ?? "unknown"}' is none.");

        var json = Parse(body);
        // The id follows from the content alone, so that the same edit is the same command.
        json.Remove(CommandId);
        var hash = Convert.ToHexStringLower(
            SHA256.HashData(Encoding.UTF8.GetBytes(json.ToJsonString(WireJson.Options)))
        );
        var successor = NameBasedGuid.Create(old, $"edit {hash}");
        json.Insert(0, CommandId, successor.ToString());
        var bytes = Encoding.UTF8.GetBytes(json.ToJsonString(WireJson.Options));
        var violations = contract.Check(JsonSerializer.Deserialize<JsonElement>(bytes));
        if (violations.Count > 0)
            throw new UsageException($"The edited body breaks the schema of {type}: {string.Join(" ", violations)}");
        return new LetterEdit(letter, Outgoing.Edited(letter, successor, RoutingKey(letter, json), bytes));
    }

    /// <summary>The letter's body with some members changed.</summary>
    /// <exception cref="JsonException">The letter's body is no JSON object.</exception>
    /// <exception cref="UsageException">A change has no <c>=</c>.</exception>
    public static string Change(DeadLetter letter, IEnumerable<string> changes)
    {
        var text = letter.Message?.GetRawText() ?? throw new JsonException("It cannot be read.");
        var json =
            JsonNode.Parse(text, documentOptions: Strict) as JsonObject
            ?? throw new JsonException("It is another kind of value.");
        foreach (var change in changes)
        {
            if (change.Split('=', 2) is not [{ Length: > 0 } name, var value])
                throw new UsageException($"--set {change}: must be NAME=VALUE.");
            json[name] = ValueOf(value);
        }

        return json.ToJsonString(WireJson.Options);
    }

    public static string Describe(ActionRow earlier) =>
        $"{earlier.MessageId} was edited by {earlier.DoneBy} at {earlier.BegunAt:u} and sent as {earlier.SuccessorId}: see receipts {earlier.SuccessorId}.";

    /// <summary>Sends the successor and takes the letter out of its queue; refused where it was edited otherwise before.</summary>
    /// <remarks>
    /// The database lets one edit of a message in. Its row is waited for before anything is sent, so two people cannot
    /// send two successors; and killed after it, the same edit again goes on from there.
    /// </remarks>
    /// <exception cref="FailureException">It was edited before, is gone, or no worker writes the record down.</exception>
    public async Task SendAsync(
        DeadLetterReads reads,
        Signature signature,
        VerbContext context,
        CancellationToken cancellation
    )
    {
        var broker = context.Settings.Broker;
        await using var audit = new AuditTrail(broker, context.Clock, signature.By, signature.Reason);
        await using var publisher = new ConfirmedPublisher(broker, "publisher dead-letters edit");
        await using var pass = await DeskPass.OpenAsync(broker, _letter.Queue, cancellation);
        await foreach (var letter in pass.ReadAsync(cancellation))
        {
            if (letter.MessageId != _letter.MessageId)
                continue;
            var steps = await audit.BeginAsync(DeadLetterActions.Edit, [letter], SuccessorId, cancellation);
            var recorded = await RecordedAsync(reads, context.Clock, cancellation);
            if (recorded.SuccessorId != SuccessorId || recorded.DoneAt is not null)
                throw new FailureException(Describe(recorded));
            await publisher.PublishAsync(_message, CancellationToken.None);
            await pass.AcknowledgeAsync([letter], CancellationToken.None);
            audit.End(steps);
            await audit.FlushAsync(CancellationToken.None);
            return;
        }

        throw new FailureException($"{_letter.MessageId} is not in {_letter.Queue} any more.");
    }

    private async Task<ActionRow> RecordedAsync(
        DeadLetterReads reads,
        TimeProvider clock,
        CancellationToken cancellation
    )
    {
        var started = clock.GetTimestamp();
        while (clock.GetElapsedTime(started) < RecordLimit)
        {
            if (await reads.EditOfAsync(_letter.MessageId!, _letter.ProjectId, cancellation) is { } recorded)
                return recorded;
            await Task.Delay(RecordPoll, clock, cancellation);
        }

        throw new FailureException("No worker writes the audit down; nothing was sent. Are the workers running?");
    }

    private static JsonObject Parse(string body)
    {
        try
        {
            return JsonNode.Parse(body, documentOptions: Strict) as JsonObject
                ?? throw new UsageException("The edited body is no JSON object.");
        }
        catch (JsonException e)
        {
            throw new UsageException($"The edited body is no JSON: {JsonErrors.Describe(e)}");
        }
    }

    private static JsonNode? ValueOf(string value)
    {
        try
        {
            return JsonNode.Parse(value);
        }
        catch (JsonException)
        {
            return JsonValue.Create(value); // A text needs no quotes on a command line.
        }
    }

    private static string RoutingKey(DeadLetter letter, JsonObject body) =>
        body["projectId"] is JsonValue id && id.TryGetValue<Guid>(out var project)
            ? WireNames.RoutingKeyOf(project)
            : letter.RoutingKey;
}
