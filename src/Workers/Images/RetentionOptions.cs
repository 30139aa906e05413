namespace Pipeline.Workers.Images;

/// <summary>How long bytes stay after nobody is shown them any more. Section <c>Retention</c>.</summary>
internal sealed class RetentionOptions
{
    public const string Section = "Retention";

    private static readonly TimeSpan Limit = TimeSpan.FromDays(365);

    /// <value>0 to 365 days; default 0. How long a deletion can be taken back.</value>
    public TimeSpan Deleted { get; init; } = TimeSpan.Zero;

    /// <value>
    /// 0 to 365 days; default 15 min, as long as the URLs work that the publisher signs itself. Bytes with a longer
    /// stored URL stay until that one expires.
    /// </value>
    public TimeSpan Replaced { get; init; } = TimeSpan.FromMinutes(15);

    /// <value>0 to 365 days; default 1 h. For bytes whose command was refused: its sender may correct it meanwhile.</value>
    public TimeSpan Orphaned { get; init; } = TimeSpan.FromHours(1);

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate()
    {
        foreach (var (name, value) in new[] { ("Deleted", Deleted), ("Replaced", Replaced), ("Orphaned", Orphaned) })
        {
            if (value < TimeSpan.Zero || value > Limit)
                throw new InvalidOperationException($"{Section}__{name} must be 0 to {Limit.Days} days.");
        }
    }
}

internal static class RetentionRegistration
{
    /// <exception cref="InvalidOperationException">A setting cannot be right; the process must not start.</exception>
    public static void AddRetention(this IServiceCollection services, IConfiguration configuration)
    {
        var options = configuration.GetSection(RetentionOptions.Section).Get<RetentionOptions>() ?? new();
        options.Validate();
        services.AddSingleton(options);
    }
}
