using MassTransit;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// Retries of sagas and of consumers that write to the database: minutes for a database that is away, since a dead
/// letter would be work that stands still; seconds for what passes by itself: writers met, or the broker is away.
/// </summary>
internal static class DatabaseRetries
{
    private const int Retries = 8;

    // Well below RabbitMQ's consumer time-out of 30 minutes, which would close the channel with all its messages.
    private static readonly TimeSpan OutageLimit = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(2);

    /// <param name="endpoint">Of the queue.</param>
    /// <param name="passes">What else passes by itself within seconds; null for nothing.</param>
    public static void Configure(IReceiveEndpointConfigurator endpoint, Func<Exception, bool>? passes = null) =>
        Configure(endpoint.UseMessageRetry, passes);

    /// <summary>The same within the consumer's own filters, which see what the retries could not help.</summary>
    public static void Configure<TConsumer>(
        IConsumerConfigurator<TConsumer> consumer,
        Func<Exception, bool>? passes = null
    )
        where TConsumer : class => Configure(consumer.UseMessageRetry, passes);

    private static void Configure(Action<Action<IRetryConfigurator>> use, Func<Exception, bool>? passes)
    {
        use(retry =>
        {
            retry.Handle<Exception>(IsOutage);
            retry.SetRetryPolicy(x => new TimedRetryPolicy(x, OutagePause, OutageLimit, TimeProvider.System));
        });
        use(retry =>
        {
            retry.Handle<Exception>(e => IsWithin(e, x => x is PublishFailedException || Transience.IsContention(x)));
            // Two requests under one command id can meet in different sagas; the second one then finds the first. What
            // else the database refuses (SQLSTATE classes 22 and 23), it would refuse again.
            retry.Handle<Exception>(e => IsWithin(e, IsLostRace));
            if (passes is not null)
                retry.Handle<Exception>(e => IsWithin(e, passes));
            retry.Exponential(
                Retries,
                TimeSpan.FromMilliseconds(100),
                TimeSpan.FromSeconds(10),
                TimeSpan.FromMilliseconds(200)
            );
        });
    }

    /// <summary>What the database itself is the reason of, so that these retries are for it and nobody's failure.</summary>
    public static bool IsOfDatabase(Exception error) =>
        IsOutage(error) || IsWithin(error, x => x is NpgsqlException or DbUpdateException);

    private static bool IsLostRace(Exception error) =>
        error is DbUpdateConcurrencyException or PostgresException { SqlState: PostgresErrorCodes.UniqueViolation };

    private static bool IsOutage(Exception error) =>
        Transience.IsOutage(error) || IsWithin(error, x => x is NpgsqlException && Transience.IsOutage(x));

    // MassTransit wraps what a transition throws, and EF Core what a statement does.
    private static bool IsWithin(Exception error, Func<Exception, bool> holds)
    {
        for (var e = error; e is not null; e = e.InnerException)
        {
            if (holds(e))
                return true;
        }

        return false;
    }
}
