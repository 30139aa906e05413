using Npgsql;
using Pipeline.Contracts.Cataloguing;
using Pipeline.Contracts.Reconciling;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Reconciling;

/// <summary>
/// Repairs findings by ordinary commands, each with a receipt of its own. They look again, so that a finding that is no
/// longer so changes nothing.
/// </summary>
internal sealed class RepairDesk(NpgsqlDataSource source, ReconciliationLedger ledger)
{
    private const int BatchLimit = 200;

    private const string ReadSql = """
        select number, kind, key from pipeline.reconciliation_findings
        where reconciliation_id = $1 and number > $2 order by number limit $3
        """;

    private const string NoteSql = """
        update pipeline.reconciliation_findings f set repair_command = n.command, repair_command_id = n.command_id
        from unnest($2, $3, $4) as n(number, command, command_id)
        where f.reconciliation_id = $1 and f.number = n.number
        """;

    private const string OpenSql = """
        select count(*) filter (where t.command_id is null or t.follow_up_id is not null and n.command_id is null),
               count(*) filter (where t.outcome = 'failed' or n.outcome = 'failed'),
               count(*)
        from pipeline.reconciliation_findings f
        left join pipeline.receipts t on t.command_id = f.repair_command_id
        left join pipeline.receipts n on n.command_id = t.follow_up_id
        where f.reconciliation_id = $1 and f.repair_command_id is not null
        """;

    /// <summary>Queues the commands of the next findings.</summary>
    /// <returns>The reconciliation as it is now; settling once no finding is left.</returns>
    /// <exception cref="ReconciliationLostException">Stop.</exception>
    public async Task<Reconciliation> RepairAsync(Reconciliation run, Guid found, CancellationToken cancellation)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var numbers = new List<int>();
        var messages = new List<(int Number, WireMessage Message)>();
        await using (var read = new NpgsqlCommand(ReadSql, connection, transaction))
        {
            read.Parameters.AddWithValue(found);
            read.Parameters.AddWithValue(run.AfterFinding);
            read.Parameters.AddWithValue(BatchLimit);
            await using var row = await read.ExecuteReaderAsync(cancellation);
            while (await row.ReadAsync(cancellation))
            {
                numbers.Add(row.GetInt32(0));
                if (Repair(run, row) is { } message)
                    messages.Add((row.GetInt32(0), message));
            }
        }

        await using (var note = new NpgsqlCommand(NoteSql, connection, transaction))
        {
            note.Parameters.AddWithValue(found);
            note.Parameters.AddWithValue(messages.Select(x => x.Number).ToArray());
            note.Parameters.AddWithValue(messages.Select(x => x.Message.Exchange).ToArray());
            note.Parameters.AddWithValue(messages.Select(x => x.Message.MessageId).ToArray());
            await note.ExecuteNonQueryAsync(cancellation);
        }

        await Outbox.AppendAsync(connection, transaction, [.. messages.Select(x => x.Message)], cancellation);
        var next = run with
        {
            State = numbers.Count < BatchLimit ? Reconciliation.Settling : Reconciliation.Repairing,
            AfterFinding = numbers.Count == 0 ? run.AfterFinding : numbers[^1],
            Findings = run.Findings + messages.Count,
        };
        await ledger.StepAsync(connection, transaction, next, rows: 0, cancellation);
        await transaction.CommitAsync(cancellation);
        return next;
    }

    /// <summary>How many of the commands have no receipt yet, how many have failed, and how many there are.</summary>
    public async Task<(long Open, long Failed, long All)> CountAsync(Guid found, CancellationToken cancellation)
    {
        await using var command = source.CreateCommand(OpenSql);
        command.Parameters.AddWithValue(found);
        await using var row = await command.ExecuteReaderAsync(cancellation);
        await row.ReadAsync(cancellation);
        return (row.GetInt64(0), row.GetInt64(1), row.GetInt64(2));
    }

    /// <summary>The command for a finding; null where another finding's command repairs it too.</summary>
    private static WireMessage? Repair(Reconciliation run, NpgsqlDataReader row)
    {
        var (kind, key) = (row.GetString(1), row.GetString(2));
        var id = Guid.NewGuid(); // Nobody can use it up beforehand; it is noted in this transaction.
        return kind switch
        {
            FindingKinds.ObjectWithoutPicture or FindingKinds.HashDiffers => WireMessage.Command(
                new DiscardObject(id, key, run.Cutoff),
                id,
                Guid.Empty
            ),
            // These ask the store, and hide the picture where its object is still missing or has another length.
            FindingKinds.PictureWithoutObject or FindingKinds.EntryWithoutObject => WireMessage.Command(
                new ForgetObject(id, key),
                id,
                Guid.Empty
            ),
            FindingKinds.SizeDiffers or FindingKinds.ObjectWithoutEntry or FindingKinds.EntryDiffers =>
                WireMessage.Command(new RecordObject(id, key), id, Guid.Empty),
            FindingKinds.UrlWithoutObject => null, // A picture that is out of sight has no URL.
            _ => throw new NotSupportedException(kind),
        };
    }
}
