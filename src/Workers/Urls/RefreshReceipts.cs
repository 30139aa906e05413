using MassTransit;
using Npgsql;
using Pipeline.Contracts.Receipts;
using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Urls;

/// <summary>One delivery of a <see cref="RefreshUrls"/>.</summary>
/// <param name="Command">The command.</param>
/// <param name="Delivery">The same as its receipt names it.</param>
internal sealed record RefreshRequest(RefreshUrls Command, CommandRequest Delivery)
{
    public UrlDemand Demand => new(Command.CommandId, Command.Force);

    public static RefreshRequest Of(ConsumeContext<RefreshUrls> context) =>
        new(context.Message, CommandRequest.Of(context));
}

/// <summary>How a command ended.</summary>
/// <param name="Request">The delivery.</param>
/// <param name="Outcome">One of <see cref="Outcomes"/>.</param>
/// <param name="Reason">Null where the outcome says it all.</param>
/// <param name="ProjectId">The picture's project, where the command does not name it.</param>
internal sealed record RefreshEnd(RefreshRequest Request, string Outcome, string? Reason, Guid? ProjectId = null);

/// <summary>Receipts of <see cref="RefreshUrls"/>.</summary>
internal sealed class RefreshReceipts(NpgsqlDataSource source, TimeProvider clock)
{
    /// <summary>Commits the receipt of a command that changed nothing, or whose batches are committed.</summary>
    public async Task<RefreshEnd> RecordAsync(RefreshEnd end, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await RecordAsync(connection, transaction, end, cancellation))
            await transaction.CommitAsync(cancellation);
        return end;
    }

    /// <summary>Adds the receipt and its event to an open transaction.</summary>
    /// <returns>False where the command has its receipt already; then nothing is written.</returns>
    public Task<bool> RecordAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RefreshEnd end,
        CancellationToken cancellation
    )
    {
        var delivery = end.Request.Delivery;
        delivery = delivery with { ProjectId = end.ProjectId ?? delivery.ProjectId };
        var at = clock.GetDatabaseNow();
        Announcement[] told = Event(delivery, end, at) is { } single ? [single] : [];
        return CommandReceipts.EndAsync(
            connection,
            transaction,
            delivery,
            end.Outcome,
            end.Reason,
            told,
            at,
            cancellation
        );
    }

    private static Announcement? Event(CommandRequest delivery, RefreshEnd end, DateTimeOffset at)
    {
        var (id, project, name, reason) = (delivery.CommandId, delivery.ProjectId, delivery.Command, end.Reason ?? "");
        return end.Outcome switch
        {
            Outcomes.Rejected => CommandReceipts.Rejection(delivery, reason, at),
            Outcomes.Superseded => Announcement.Of(delivery.Key, new CommandSuperseded(id, project, name, reason, at)),
            Outcomes.Failed => Announcement.Of(
                delivery.Key,
                new CommandFailed(id, project, name, reason, at),
                delivery.Replays == 0 ? "" : $"/{delivery.Replays}"
            ),
            _ => null, // What changed is told by the pictures' own events.
        };
    }
}
