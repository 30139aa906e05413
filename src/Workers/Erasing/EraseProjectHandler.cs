using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Receipts;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;

namespace Pipeline.Workers.Erasing;

/// <summary>
/// Deletes a project without a grace period, and writes the erasure down that removes the rest. A project that is
/// deleted already is erased all the same.
/// </summary>
internal sealed class EraseProjectHandler : LaneHandler<EraseProject>
{
    private const string MarkSql = "update pipeline.projects set erased_at = coalesce(erased_at, $2) where id = $1";

    private const string InsertSql = """
        insert into pipeline.erasures (id, command_id, project_id, due_at, created_at, updated_at)
        values ($1, $2, $3, $4, $4, $4)
        """;

    private const string OpenSql = """
        select exists (select from pipeline.erasures where project_id = $1 and ended_at is null)
        """;

    public override async Task ApplyAsync(
        LaneTransaction transaction,
        IReadOnlyList<LaneEntry> run,
        CancellationToken cancellation
    )
    {
        foreach (var entry in run)
            await ApplyAsync(transaction, entry, cancellation);
    }

    protected override string? Refuse(EraseProject command) => null;

    private static async Task ApplyAsync(LaneTransaction transaction, LaneEntry entry, CancellationToken cancellation)
    {
        if (await IsOpenAsync(transaction, entry.ProjectId, cancellation))
        {
            const string Reason = "The project is being erased already.";
            entry.Decide(Outcomes.Unchanged, Reason, projectVersion: null, transaction.Now);
            return;
        }

        transaction.Write(MarkSql, entry.ProjectId, transaction.Now);
        transaction.Write(InsertSql, entry.Key.Derive("erasure"), entry.CommandId, entry.ProjectId, transaction.Now);
        if (transaction.DeletedAt(entry.ProjectId) is not null)
        {
            entry.Decide(Outcomes.Applied, reason: null, projectVersion: null, transaction.Now);
            return;
        }

        var (version, tombstoned) = await ProjectTombstone.ApplyAsync(transaction, entry, TimeSpan.Zero, cancellation);
        entry.Decide(Outcomes.Applied, reason: null, version, transaction.Now, tombstoned);
    }

    private static async Task<bool> IsOpenAsync(
        LaneTransaction transaction,
        Guid projectId,
        CancellationToken cancellation
    )
    {
        await using var row = await transaction.ReadAsync([(OpenSql, [projectId])], cancellation);
        await row.ReadAsync(cancellation);
        return row.GetBoolean(0);
    }
}
