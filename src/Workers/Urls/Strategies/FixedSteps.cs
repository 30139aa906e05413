namespace Pipeline.Workers.Urls.Strategies;

/// <summary>The key below a public address. It never ends by itself, so its life is the setting's.</summary>
internal sealed class PublicStep(Uri baseUrl, TimeProvider clock) : IUrlStep
{
    public string Name => "public";

    public Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation) =>
        Task.FromResult<StepAnswer>(
            new SignedUrl(
                $"{baseUrl.AbsoluteUri.TrimEnd('/')}/{request.ObjectKey}",
                clock.GetUtcNow() + request.Lifetime
            )
        );
}

/// <summary>One picture for all that cannot be shown; always degraded.</summary>
internal sealed class PlaceholderStep(Uri url, TimeProvider clock) : IUrlStep
{
    public string Name => "placeholder";

    public Task<StepAnswer> SignAsync(UrlRequest request, CancellationToken cancellation) =>
        Task.FromResult<StepAnswer>(
            new SignedUrl(
                url.AbsoluteUri,
                clock.GetUtcNow() + request.Lifetime,
                new StepFailure(StepFailures.Placeholder, "A placeholder is shown.")
            )
        );
}
