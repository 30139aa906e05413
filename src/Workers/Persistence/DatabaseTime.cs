namespace Pipeline.Workers.Persistence;

internal static class DatabaseTime
{
    /// <summary>The time in the microseconds that PostgreSQL keeps, so that a row and the event that tells of it agree.</summary>
    public static DateTimeOffset GetDatabaseNow(this TimeProvider clock) =>
        new(clock.GetUtcNow().Ticks / 10 * 10, TimeSpan.Zero);
}
