using System.Text.Json;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Commands;

/// <summary>
/// The object that a save or a replacement names. When the command fails, its replay still needs the object, so the
/// transaction that writes the failure holds it.
/// </summary>
internal static class FailedSave
{
    private static readonly string[] Names = [WireNames.ExchangeOf<SaveImage>(), WireNames.ExchangeOf<ReplaceImage>()];

    /// <summary>Holds the object of a command whose failure this transaction writes; does nothing for any other.</summary>
    public static async Task HoldAsync(CommandWork work)
    {
        var command = work.Request;
        if (HoldOf(command.Key, command.Command, command.Content, work.At) is { } hold)
            await ObjectHolds.KeepAsync(work.Connection, work.Transaction, hold, work.Cancellation);
    }

    /// <summary>The values of <see cref="ObjectHolds.KeepSql"/>; null for any other command.</summary>
    /// <param name="key">The command.</param>
    /// <param name="name">Its exchange.</param>
    /// <param name="content">As the pipeline writes it.</param>
    /// <param name="at">UTC.</param>
    public static object[]? HoldOf(CommandKey key, string name, byte[] content, DateTimeOffset at)
    {
        if (!Names.Contains(name, StringComparer.Ordinal))
            return null;
        using var body = JsonDocument.Parse(content);
        var objectKey = body.RootElement.GetProperty("objectKey").GetString()!;
        var imageId = body.RootElement.GetProperty("imageId").GetGuid();
        return [objectKey, key.CommandId, key.Scope, imageId, at];
    }
}
