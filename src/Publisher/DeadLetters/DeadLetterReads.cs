using Npgsql;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.DeadLetters;

/// <summary>A row of <c>status.dead_letter_actions</c>.</summary>
/// <param name="Outcome"><c>begun</c>, <c>done</c>, or how the replayed or edited command ended.</param>
internal sealed record ActionRow(
    Guid ActionId,
    Guid RunId,
    string Action,
    string Queue,
    string? MessageId,
    string? Command,
    Guid? ProjectId,
    int Replays,
    Guid? SuccessorId,
    string DoneBy,
    string? Reason,
    DateTimeOffset BegunAt,
    DateTimeOffset? DoneAt,
    string Outcome
);

/// <summary>What the database knows of dead letters.</summary>
internal sealed class DeadLetterReads(StatusDatabase database)
{
    private const string Actions = """
        select action_id, run_id, action, queue, message_id, command, project_id, replays, successor_id, done_by, reason,
               begun_at, done_at, outcome
        from status.dead_letter_actions
        """;

    // Where the command has no receipt of its own, time is all there is.
    private const string LaterWritesSql = $"""
        select {ReceiptReads.Columns}
        from status.receipts r
        join status.receipt_places p on p.command_id = r.command_id and p.scope = r.scope
        left join status.receipt_places mine on mine.command_id = $2 and mine.scope = $1
        where r.project_id = $1 and r.outcome in ('applied', 'target-missing')
            and case when mine.place is null then r.at > $3 else p.place > mine.place end
        order by p.place limit $4
        """;

    /// <summary>Writes of the letter's project that were decided after it failed, the first one first.</summary>
    public async Task<List<ReceiptRow>> LaterWritesAsync(
        DeadLetter letter,
        int limit,
        CancellationToken cancellation
    ) =>
        letter.ProjectId is { } project
            ? await database.ReadAsync(
                LaterWritesSql,
                ReceiptReads.Read,
                cancellation,
                project,
                letter.CommandId ?? Guid.Empty,
                letter.FailedAt?.ToUniversalTime() ?? DateTimeOffset.UnixEpoch,
                limit
            )
            : [];

    /// <param name="message">Null for every message.</param>
    /// <param name="limit">Rows at most, the newest first.</param>
    /// <param name="cancellation">Ends the query.</param>
    public Task<List<ActionRow>> ActionsAsync(string? message, int limit, CancellationToken cancellation) =>
        database.ReadAsync(
            $"""
            {Actions} where $1::text is null or message_id = $1 or successor_id = $2
            order by begun_at desc, action_id limit $3
            """,
            Action,
            cancellation,
            message,
            Guid.TryParse(message, out var successor) ? successor : null,
            limit
        );

    /// <summary>The edit of a message; null where there is none. A project has never more than one.</summary>
    /// <param name="message">The message's id.</param>
    /// <param name="project">Null for the newest edit in any project.</param>
    /// <param name="cancellation">Ends the query.</param>
    public async Task<ActionRow?> EditOfAsync(string message, Guid? project, CancellationToken cancellation) =>
        (
            await database.ReadAsync(
                $"""
                {Actions} where message_id = $1 and ($2::uuid is null or project_id = $2) and action = 'edit'
                order by begun_at desc limit 1
                """,
                Action,
                cancellation,
                message,
                project
            )
        ).FirstOrDefault();

    private static ActionRow Action(NpgsqlDataReader x) =>
        new(
            x.GetGuid(0),
            x.GetGuid(1),
            x.GetString(2),
            x.GetString(3),
            x.Text(4),
            x.Text(5),
            x.Nullable<Guid>(6),
            x.GetInt32(7),
            x.Nullable<Guid>(8),
            x.GetString(9),
            x.Text(10),
            x.Instant(11),
            x.Nullable<DateTimeOffset>(12),
            x.GetString(13)
        );
}
