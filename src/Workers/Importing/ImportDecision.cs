using System.Security.Cryptography;
using MassTransit;
using Pipeline.Contracts.Importing;
using Pipeline.Contracts.Receipts;
using Pipeline.Wire;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Importing;

/// <summary>One delivery of an import command.</summary>
/// <param name="Command">Under its id, which may have come as the message's id alone.</param>
/// <param name="Content">The command as the pipeline writes it, whatever it looked like on the wire.</param>
/// <param name="RequestHash">SHA-256 of <paramref name="Content"/>.</param>
/// <param name="Replays">How often a person has replayed the message from the dead letters.</param>
internal sealed record ImportRequest(ImportImage Command, byte[] Content, byte[] RequestHash, int Replays)
{
    public const string CommandName = "import-image";

    /// <exception cref="ImportWithoutIdException">Neither the body nor the message has an id.</exception>
    public static ImportRequest Of(ConsumeContext<ImportImage> context)
    {
        var command = context.Message;
        if (command.CommandId == Guid.Empty)
        {
            command =
                context.MessageId is { } id && id != Guid.Empty
                    ? command with
                    {
                        CommandId = id,
                    }
                    : throw new ImportWithoutIdException();
        }

        var content = WireJson.Write(context.Message);
        return new ImportRequest(
            command,
            content,
            SHA256.HashData(content),
            DeliveryHeaders.Replays(context.ReceiveContext)
        );
    }
}

/// <summary>How an import ended, as it is written to <c>pipeline.receipts</c> with the one message that follows from it.</summary>
/// <param name="Request">The delivery.</param>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">Null where the outcome says it all.</param>
/// <param name="At">When it was decided, UTC.</param>
/// <param name="Announcement">The save or replacement, or the event that tells of the refusal or failure.</param>
/// <param name="Stored">The object that now holds the picture; null where there is none.</param>
internal sealed record ImportDecision(
    ImportRequest Request,
    string Outcome,
    string? Reason,
    DateTimeOffset At,
    Announcement Announcement,
    StoredObject? Stored
)
{
    /// <summary>The bytes are in the store and the save or replacement is queued.</summary>
    public static ImportDecision Applied(
        ImportRequest request,
        Announcement followUp,
        StoredObject stored,
        DateTimeOffset at
    ) => new(request, Outcomes.Applied, null, at, followUp, stored);

    /// <summary>It can never succeed as it is.</summary>
    public static ImportDecision Rejected(ImportRequest request, string reason, DateTimeOffset at)
    {
        var (id, project) = (request.Command.CommandId, request.Command.ProjectId);
        var told = new CommandRejected(id, project, ImportRequest.CommandName, reason, at);
        return new(request, Outcomes.Rejected, reason, at, Announcement.Of(id, told), null);
    }

    /// <summary>It could not be carried out; the message goes to the dead letters.</summary>
    public static ImportDecision Failed(ImportRequest request, string reason, DateTimeOffset at)
    {
        var (id, project) = (request.Command.CommandId, request.Command.ProjectId);
        var told = new CommandFailed(id, project, ImportRequest.CommandName, reason, at);
        // A replay that fails again is another event.
        var part = request.Replays == 0 ? "" : $"/{request.Replays}";
        return new(request, Outcomes.Failed, reason, at, Announcement.Of(id, told, part), null);
    }
}

/// <summary>Nobody could ask for its receipt, so the dead letter is all there is of it.</summary>
internal sealed class ImportWithoutIdException()
    : Exception("The command has no commandId, and its message no message_id.");
