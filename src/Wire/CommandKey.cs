using System.Runtime.InteropServices;

namespace Pipeline.Wire;

/// <summary>
/// What makes a command one command: its id within its scope. The same id in two projects is two commands, so that no
/// service can use up, or read, the ids of another one's projects.
/// </summary>
/// <param name="Scope">
/// The project of a command that names one. For any other the sender, as the broker has checked it (AMQP
/// <c>user_id</c>); all zeros for a sender that does not say who it is.
/// </param>
/// <param name="CommandId">Chosen by the sender.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct CommandKey(Guid Scope, Guid CommandId)
{
    // Any fixed value: it keeps the scopes of senders apart from ids that are derived for something else.
    private static readonly Guid Senders = new("5f0c7a3e-4b0e-4b7e-9b67-6d3a5d1c8e21");

    /// <param name="projectId">All zeros for a command that names no project.</param>
    /// <param name="commandId">Its id.</param>
    /// <param name="sender">The broker's user who has sent it; null where the message does not say.</param>
    public static CommandKey Of(Guid projectId, Guid commandId, string? sender) =>
        new(projectId == Guid.Empty && sender is not null ? ScopeOf(sender) : projectId, commandId);

    /// <summary>The key of a command whose message does not say who has sent it.</summary>
    /// <param name="command">Of a public contract, which all have a <c>commandId</c> and most a <c>projectId</c>.</param>
    /// <exception cref="ArgumentException">It is no command.</exception>
    public static CommandKey Of(object command) => Of(command, sender: null);

    /// <inheritdoc cref="Of(object)"/>
    /// <param name="command">Of a public contract.</param>
    /// <param name="sender">The broker's user who has sent it; null where the message does not say.</param>
    public static CommandKey Of(object command, string? sender)
    {
        var type = command.GetType();
        return type.GetProperty("CommandId")?.GetValue(command) is Guid commandId
            ? Of(type.GetProperty("ProjectId")?.GetValue(command) as Guid? ?? Guid.Empty, commandId, sender)
            : throw new ArgumentException($"{type.Name} is no command.", nameof(command));
    }

    /// <summary>The scope of a sender's commands that name no project.</summary>
    public static Guid ScopeOf(string sender) => NameBasedGuid.Create(Senders, sender);

    /// <summary>An id for something that follows from the command: the same each time that it is asked for.</summary>
    /// <param name="name">What it is for, such as <c>image-saved</c>.</param>
    public Guid Derive(string name) => NameBasedGuid.Create(NameBasedGuid.Create(Scope, CommandId.ToString()), name);
}
