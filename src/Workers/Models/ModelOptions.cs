namespace Pipeline.Workers.Models;

/// <summary>What stands behind a model's name.</summary>
internal enum ProviderKind
{
    /// <summary>Paints in this process, without any account. It is no image model.</summary>
    OfflinePainter,

    /// <summary>A server with OpenAI's image API.</summary>
    OpenAI,
}

/// <summary>One model; section <c>Models:{name}</c>. The name is what commands say, and the key of the model's gate.</summary>
internal sealed class ModelOptions
{
    public const string Section = "Models";

    private const int NameLength = 100; // provider_gates.provider

    public ProviderKind Kind { get; init; }

    /// <value>Base address with the version, such as <c>https://api.openai.com/v1</c>, which is the default.</value>
    public Uri? Endpoint { get; init; }

    /// <value>Null where the server wants none.</value>
    public string? ApiKey { get; init; }

    /// <value>The provider's own name of the model; null where it is the same.</value>
    public string? Model { get; init; }

    /// <value>Requests at once from one process, 1 to 64; default 4.</value>
    public int Concurrency { get; init; } = 4;

    /// <value>Requests a minute from one process, evenly spread, 1 to 60,000; null for no limit.</value>
    public int? RequestsPerMinute { get; init; }

    /// <value>How long one attempt may take; null for <c>Rendering:AttemptTimeout</c>.</value>
    public TimeSpan? AttemptTimeout { get; init; }

    /// <value>True sends the seed. OpenAI's own models refuse it.</value>
    public bool TakesSeed { get; init; }

    /// <value>True lets the provider answer with URLs inside this network.</value>
    public bool AllowPrivateNetworks { get; init; }

    /// <exception cref="InvalidOperationException">A value is out of its range; the process must not start.</exception>
    public void Validate(string name)
    {
        Require(name.Length <= NameLength, name, $"has a name longer than {NameLength} characters");
        Require(Enum.IsDefined(Kind), name, "has an unknown Kind");
        Require(Endpoint is null || IsHttp(Endpoint), name, "needs an Endpoint that is an http or https URL");
        Require(Concurrency is >= 1 and <= 64, name, "needs a Concurrency of 1 to 64");
        Require(RequestsPerMinute is null or (>= 1 and <= 60_000), name, "needs 1 to 60,000 RequestsPerMinute");
        Require(
            AttemptTimeout is null
                || (AttemptTimeout >= TimeSpan.FromSeconds(1) && AttemptTimeout <= AttemptTimeoutMax),
            name,
            $"needs an AttemptTimeout of 1 second to {AttemptTimeoutMax.TotalMinutes:0} minutes"
        );
    }

    /// <summary>Well below RabbitMQ's consumer time-out of 30 minutes, which would close the channel with its messages.</summary>
    public static readonly TimeSpan AttemptTimeoutMax = TimeSpan.FromMinutes(20);

    private static bool IsHttp(Uri url) =>
        url.IsAbsoluteUri && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps);

    private static void Require(bool holds, string name, string rule)
    {
        if (!holds)
            throw new InvalidOperationException($"{Section}__{name} {rule}.");
    }
}
