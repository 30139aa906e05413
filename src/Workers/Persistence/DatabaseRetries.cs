using MassTransit;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Pipeline.Wire;

namespace Pipeline.Workers.Persistence;

/// <summary>
/// Retries of sagas, and of consumers that write to the database alone: minutes for a database that is away, since a
/// dead letter would be work that stands still; seconds for what passes by itself: writers met, or the broker is away.
/// </summary>
internal static class DatabaseRetries
{
    private const int Retries = 8;

    // 15 minutes, well below RabbitMQ's consumer time-out of 30, which would close the channel with all its messages.
    private const int OutageRetries = 450;
    private static readonly TimeSpan OutagePause = TimeSpan.FromSeconds(2);

    public static void Configure(IReceiveEndpointConfigurator endpoint)
    {
        endpoint.UseMessageRetry(retry =>
        {
            retry.Handle<Exception>(IsOutage);
            retry.Interval(OutageRetries, OutagePause);
        });
        endpoint.UseMessageRetry(retry =>
        {
            retry.Handle<Exception>(e => IsWithin(e, x => x is PublishFailedException || Transience.IsContention(x)));
            // Two requests under one command id can meet in different sagas; the second one then finds the first.
            retry.Handle<Exception>(e => IsWithin(e, x => x is DbUpdateException) && !IsOutage(e));
            retry.Exponential(
                Retries,
                TimeSpan.FromMilliseconds(100),
                TimeSpan.FromSeconds(10),
                TimeSpan.FromMilliseconds(200)
            );
        });
    }

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
