using MassTransit;
using Pipeline.Contracts.Importing;
using Pipeline.Wire;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Persistence;

namespace Pipeline.Workers.Importing;

/// <summary>
/// Stands outside the retries: what they could not help gets a <c>failed</c> receipt before its message goes to the
/// dead letters. While the database is away the message waits here, since nothing could be recorded.
/// </summary>
internal sealed partial class ImportFailureFilter(
    ImportLedger ledger,
    TimeProvider clock,
    ILogger<ImportFailureFilter> logger
) : IFilter<ConsumeContext<ImportImage>>
{
    private const int ReasonLength = 1_000;

    // Well below RabbitMQ's consumer time-out of 30 minutes, which would close the channel with all its messages.
    private static readonly TimeSpan OutageLimit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(5);

    public async Task Send(ConsumeContext<ImportImage> context, IPipe<ConsumeContext<ImportImage>> next)
    {
        var started = clock.GetTimestamp();
        while (true)
        {
            try
            {
                await SendOnce(context, next);
                return;
            }
            catch (Exception e) when (Transience.IsOutage(e) && clock.GetElapsedTime(started) < OutageLimit)
            {
                DatabaseAway(context.Message.CommandId, e.Message);
                await Task.Delay(OutagePause, clock, context.CancellationToken);
            }
        }
    }

    public void Probe(ProbeContext context) => context.CreateFilterScope("import-failure");

    private async Task SendOnce(ConsumeContext<ImportImage> context, IPipe<ConsumeContext<ImportImage>> next)
    {
        try
        {
            await next.Send(context);
        }
        catch (Exception) when (context.CancellationToken.IsCancellationRequested)
        {
            // The process stops. With this token MassTransit gives the message back; else it would be a dead letter.
            throw new OperationCanceledException(context.CancellationToken);
        }
        catch (Exception e) when (IsFinal(e))
        {
            var request = ImportRequest.Of(context);
            var reason = $"{e.GetType().Name}: {e.Message}";
            reason = ShortText.Cut(reason, ReasonLength);
            await ledger.RecordAsync(ImportDecision.Failed(request, reason, ledger.Now()), context.CancellationToken);
            throw;
        }
    }

    private static bool IsFinal(Exception error) =>
        error is not ImportWithoutIdException && !Transience.IsOutage(error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Import {CommandId} waits for the database: {Error}")]
    private partial void DatabaseAway(Guid commandId, string error);
}
