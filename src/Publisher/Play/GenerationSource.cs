using Npgsql;
using Pipeline.Contracts.Generation;
using Pipeline.Contracts.Receipts;
using Pipeline.Publisher.Generating;
using Pipeline.Publisher.Publishing;
using Pipeline.Publisher.Status;

namespace Pipeline.Publisher.Play;

/// <summary>Pictures that the workers generate from the scenes' prompts.</summary>
/// <param name="define">The command that defines the scenes: they must be there before pictures are asked for.</param>
internal sealed class GenerationSource(
    PlayPlan plan,
    Guid define,
    StatusDatabase database,
    Uri broker,
    TimeProvider clock
) : IPlaySource
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(100);

    private readonly GenerateStoryboard _generate = new(
        Guid.NewGuid(),
        plan.Project,
        SceneIds: null,
        plan.ImagesPerScene,
        RenderWish.ModelDefault,
        RenderWish.SizeDefault,
        RenderWish.SizeDefault,
        Options: null,
        Deadline: null,
        Force: false
    );
    private readonly ReceiptReads _receipts = new(database);
    private volatile bool _refused;
    private volatile string _progress = "scenes queued";

    public string Progress => _progress;

    public async Task RunAsync(CancellationToken cancellation)
    {
        while (true)
        {
            if (await EndOfDefineAsync(cancellation) is { } receipt)
            {
                if (!IsRefused(receipt))
                    break;
                return;
            }

            await Task.Delay(PollInterval, clock, cancellation);
        }

        await using var sender = new CommandSender(broker, "publisher play", clock);
        await sender.SendAsync(_generate.ToWire(), cancellation);
        _progress = $"generated 0/{plan.Total}";
    }

    /// <remarks>A refused storyboard is settled, too: no picture comes, and the table says so.</remarks>
    /// <inheritdoc/>
    public async Task<bool> IsSettledAsync(bool isComplete, CancellationToken cancellation)
    {
        if (_refused)
            return true;
        if (await _receipts.FindAsync(new(plan.Project, _generate.CommandId), cancellation) is not { } storyboard)
            return false;
        if (IsRefused(storyboard))
            return true;

        Guid[] requests =
        [
            .. from scene in plan.Scenes
            from slot in Enumerable.Range(0, plan.ImagesPerScene)
            select GenerationMessages.RequestOf(_generate.CommandId, scene.Id, slot),
        ];
        var ends = await _receipts.OfAsync(plan.Project, requests, cancellation);
        _progress = $"generated {ends.Count(EndReport.IsSaved)}/{plan.Total}";
        return ends.Count == requests.Length
            && (isComplete || ends.TrueForAll(x => x.Outcome != Outcomes.TargetMissing));
    }

    private bool IsRefused(ReceiptRow receipt)
    {
        if (EndReport.IsSaved(receipt))
            return false;
        _refused = true;
        _progress = $"{receipt.Command} was {receipt.Outcome}: {receipt.Reason}";
        return true;
    }

    private async Task<ReceiptRow?> EndOfDefineAsync(CancellationToken cancellation)
    {
        try
        {
            return await _receipts.FindAsync(new(plan.Project, define), cancellation);
        }
        catch (NpgsqlException e) when (e.IsTransient)
        {
            return null; // Away for a moment: the play's time-out ends it.
        }
    }
}
