using MassTransit;
using Npgsql;
using NpgsqlTypes;
using Pipeline.Contracts.DeadLetters;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Auditing;

/// <summary>Writes down what a person does about dead letters, and tells of it once it is done.</summary>
/// <remarks>
/// "Begun" and "done" come as two messages and may be consumed in either order, or twice: the row takes both. The event
/// goes out with the commit that first knows that the action is done.
/// </remarks>
internal sealed partial class RecordDeadLetterActionsConsumer(
    NpgsqlDataSource source,
    AuditMetrics metrics,
    ILogger<RecordDeadLetterActionsConsumer> logger
) : IConsumer<RecordDeadLetterActions>
{
    // The other conflict, a second edit of one message, leaves the first one's row and writes none.
    private const string BeginSql = """
        insert into pipeline.dead_letter_actions
            (action_id, run_id, action, queue, message_id, command, project_id, replays, successor_id, done_by, reason,
             begun_at)
        select i, $1, a, q, m, c, p, r, s, $2, $3, t
        from unnest($4, $5, $6, $7, $8, $9::uuid[], $10, $11::uuid[], $12) as x (i, a, q, m, c, p, r, s, t)
        order by i
        on conflict do nothing
        """;

    private const string EndSql = """
        update pipeline.dead_letter_actions a set done_at = x.done_at
        from unnest($1, $2) as x (action_id, done_at)
        where a.action_id = x.action_id and a.done_at is null
        returning a.action_id
        """;

    public async Task Consume(ConsumeContext<RecordDeadLetterActions> context)
    {
        var record = context.Message;
        var cancellation = context.CancellationToken;
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await BeginAsync(connection, transaction, record, cancellation);
        var ended = await EndAsync(connection, transaction, record, cancellation);
        await Outbox.AppendAsync(connection, transaction, [.. ended.Select(x => EventOf(record, x))], cancellation);
        await transaction.CommitAsync(cancellation);

        foreach (var step in ended)
        {
            metrics.Handled(step.Action, step.Queue);
            Handled(record.By, step.Action, step.Command, step.MessageId, step.Queue, record.Reason);
        }
    }

    private static async Task BeginAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RecordDeadLetterActions record,
        CancellationToken cancellation
    )
    {
        var steps = record.Steps;
        await using var command = new NpgsqlCommand(BeginSql, connection, transaction);
        command.Parameters.AddWithValue(record.RunId);
        command.Parameters.AddWithValue(record.By);
        command.Parameters.Add(
            new NpgsqlParameter { Value = (object?)record.Reason ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text }
        );
        command.Parameters.AddWithValue(steps.Select(x => x.ActionId).ToArray());
        command.Parameters.AddWithValue(steps.Select(x => x.Action).ToArray());
        command.Parameters.AddWithValue(steps.Select(x => x.Queue).ToArray());
        command.Parameters.Add(Texts(steps.Select(x => x.MessageId)));
        command.Parameters.Add(Texts(steps.Select(x => x.Command)));
        command.Parameters.AddWithValue(steps.Select(x => x.ProjectId).ToArray());
        command.Parameters.AddWithValue(steps.Select(x => x.Replays).ToArray());
        command.Parameters.AddWithValue(steps.Select(x => x.SuccessorId).ToArray());
        command.Parameters.AddWithValue(steps.Select(x => x.BegunAt.ToUniversalTime()).ToArray());
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <returns>The steps that this message ended: not those that had ended before.</returns>
    private static async Task<List<DeadLetterStep>> EndAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        RecordDeadLetterActions record,
        CancellationToken cancellation
    )
    {
        var done = record.Steps.Where(x => x.DoneAt is not null).ToDictionary(x => x.ActionId);
        if (done.Count == 0)
            return [];

        await using var command = new NpgsqlCommand(EndSql, connection, transaction);
        command.Parameters.AddWithValue(done.Keys.ToArray());
        command.Parameters.AddWithValue(done.Values.Select(x => x.DoneAt!.Value.ToUniversalTime()).ToArray());
        await using var row = await command.ExecuteReaderAsync(cancellation);
        var ended = new List<DeadLetterStep>();
        while (await row.ReadAsync(cancellation))
            ended.Add(done[row.GetGuid(0)]);
        return ended;
    }

    private static WireMessage EventOf(RecordDeadLetterActions record, DeadLetterStep step)
    {
        var project = step.ProjectId ?? Guid.Empty;
        var at = step.DoneAt!.Value;
        return step.Action switch
        {
            DeadLetterActions.Replay => Event(
                new DeadLetterReplayed(
                    step.ActionId,
                    project,
                    step.MessageId,
                    step.Command,
                    step.Queue,
                    record.By,
                    record.Reason,
                    at
                )
            ),
            DeadLetterActions.Edit => Event(
                new DeadLetterEdited(
                    step.ActionId,
                    project,
                    step.MessageId,
                    step.Command,
                    step.Queue,
                    step.SuccessorId ?? Guid.Empty,
                    record.By,
                    record.Reason,
                    at
                )
            ),
            DeadLetterActions.Discard => Event(
                new DeadLetterDiscarded(
                    step.ActionId,
                    project,
                    step.MessageId,
                    step.Command,
                    step.Queue,
                    record.By,
                    record.Reason,
                    at
                )
            ),
            DeadLetterActions.Park => Event(
                new DeadLetterParked(
                    step.ActionId,
                    project,
                    step.MessageId,
                    step.Command,
                    step.Queue,
                    record.By,
                    record.Reason,
                    at
                )
            ),
            // The table's check has refused it before.
            var other => throw new NotSupportedException(other),
        };

        WireMessage Event<T>(T told) =>
            new(
                WireNames.ExchangeOf<T>(),
                WireNames.RoutingKeyOf(project),
                NameBasedGuid.Create(step.ActionId, WireNames.ExchangeOf<T>()),
                WireJson.Write(told),
                Mandatory: false
            );
    }

    private static NpgsqlParameter Texts(IEnumerable<string?> values) =>
        new() { Value = values.ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "{By}: {Action} of dead letter {Command} {MessageId} in {Queue}, because: {Reason}"
    )]
    private partial void Handled(
        string by,
        string action,
        string? command,
        string? messageId,
        string queue,
        string? reason
    );
}
