using MassTransit;
using MassTransit.RetryPolicies;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// Tries again after a pause until a time is over, however long each try has taken: a try may wait half a minute for a
/// connection or a lock, so that a number of tries says nothing about the time.
/// </summary>
/// <param name="filter">What it is for.</param>
/// <param name="pause">Between two tries.</param>
/// <param name="limit">From the first try on. One that has begun by then may end.</param>
/// <param name="clock">Measures it.</param>
internal sealed class TimedRetryPolicy(IExceptionFilter filter, TimeSpan pause, TimeSpan limit, TimeProvider clock)
    : IRetryPolicy
{
    public RetryPolicyContext<T> CreatePolicyContext<T>(T context)
        where T : class, PipeContext => new Delivery<T>(this, context, clock.GetTimestamp());

    public bool IsHandled(Exception exception) => filter.Match(exception);

    public void Probe(ProbeContext context)
    {
        context.Set(
            new
            {
                Policy = "Timed",
                Limit = limit,
                Pause = pause,
            }
        );
        filter.Probe(context);
    }

    private bool MayTryAgain(Exception exception, long started) =>
        IsHandled(exception) && clock.GetElapsedTime(started) < limit;

    private sealed class Delivery<T>(TimedRetryPolicy policy, T context, long started)
        : BaseRetryPolicyContext<T>(policy, context)
        where T : class, PipeContext
    {
        public override bool CanRetry(Exception exception, out RetryContext<T> retryContext) =>
            base.CanRetry(exception, out retryContext) && policy.MayTryAgain(exception, started);

        protected override RetryContext<T> CreateRetryContext(
            Exception exception,
            CancellationToken cancellationToken
        ) => new Retry<T>(policy, Context, exception, retries: 0, started, cancellationToken);
    }

    private sealed class Retry<T>(
        TimedRetryPolicy policy,
        T context,
        Exception exception,
        int retries,
        long started,
        CancellationToken cancellation
    ) : BaseRetryContext<T>(context, exception, retries, cancellation), RetryContext<T>
        where T : class, PipeContext
    {
        public override TimeSpan? Delay => policy.Pause;

        public bool CanRetry(Exception exception, out RetryContext<T> retryContext)
        {
            retryContext = new Retry<T>(policy, Context, exception, RetryCount + 1, started, CancellationToken);
            return policy.MayTryAgain(exception, started);
        }
    }

    private TimeSpan Pause => pause;
}
