using Pipeline.Contracts.Receipts;
using Pipeline.Publisher.Importing;
using Pipeline.Publisher.Status;
using Pipeline.Publisher.Storage;

namespace Pipeline.Publisher.Play;

/// <summary>Pictures from files, handed in by concurrent publishers.</summary>
internal sealed class ImportSource(
    PlayPlan plan,
    StatusDatabase database,
    Uri broker,
    S3Store store,
    TimeProvider clock
) : IPlaySource
{
    private readonly List<Guid> _imports = [];
    private int _sent;

    public string Progress => $"handed in {_sent}/{plan.Pictures.Count}";

    public Task RunAsync(CancellationToken cancellation) =>
        new ImportRunner(broker, store, ImportRunner.PublisherDefault, clock).RunAsync(
            plan.Project,
            plan.Pictures,
            (_, command) =>
            {
                lock (_imports)
                    _imports.Add(command.CommandId);
                Interlocked.Increment(ref _sent);
                return Task.CompletedTask;
            },
            cancellation
        );

    /// <remarks>The saves that the imports queue are commands, too.</remarks>
    /// <inheritdoc/>
    public async Task<bool> IsSettledAsync(bool isComplete, CancellationToken cancellation)
    {
        Guid[] imports;
        lock (_imports)
            imports = [.. _imports];
        var reads = new ReceiptReads(database);
        var receipts = await reads.OfAsync(plan.Project, imports, cancellation);
        if (receipts.Count < imports.Length)
            return false;
        var saves = receipts.Select(x => x.FollowUpId).OfType<Guid>().ToArray();
        var saved = await reads.OfAsync(plan.Project, saves, cancellation);
        return saved.Count == saves.Length
            && (isComplete || saved.TrueForAll(x => x.Outcome != Outcomes.TargetMissing));
    }
}
