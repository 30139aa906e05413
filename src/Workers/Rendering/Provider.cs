using System.ClientModel;
using Microsoft.Extensions.AI;
using Pipeline.Contracts.Generation;
using Pipeline.Workers.Models;
using Polly;
using Polly.CircuitBreaker;

namespace Pipeline.Workers.Rendering;

/// <summary>One model's provider with its limits: asked once for each attempt, and left alone while it is away.</summary>
internal sealed class Provider : IDisposable
{
    private const double OutageRatio = 0.5;

    private static readonly TimeSpan OutageWindow = TimeSpan.FromMinutes(2);

    private readonly string _name;
    private readonly TimeSpan _timeout;
    private readonly RenderingOptions _options;
    private readonly RenderMetrics _metrics;
    private readonly TimeProvider _clock;
    private readonly IImageGenerator _generator;
    private readonly ProviderTurns _turns;
    private readonly PictureIntake _intake;
    private readonly ResiliencePipeline<RenderResult> _breaker;

    public Provider(
        string name,
        ModelOptions model,
        RenderingOptions options,
        ProviderGates gates,
        RenderMetrics metrics,
        TimeProvider clock
    )
    {
        _name = name;
        _timeout = model.AttemptTimeout ?? options.AttemptTimeout;
        _options = options;
        _metrics = metrics;
        _clock = clock;
        _generator = model.Kind switch
        {
            ProviderKind.OfflinePainter => new OfflineImageGenerator(),
            ProviderKind.OpenAI => new OpenAIImageGenerator(name, model, _timeout, clock),
            _ => throw new NotSupportedException(model.Kind.ToString()),
        };
        _turns = new ProviderTurns(model, options, clock);
        _intake = new PictureIntake(model.AllowPrivateNetworks, clock);
        _breaker = new ResiliencePipelineBuilder<RenderResult> { TimeProvider = clock }
            .AddCircuitBreaker(
                new CircuitBreakerStrategyOptions<RenderResult>
                {
                    FailureRatio = OutageRatio,
                    MinimumThroughput = options.OutageThreshold,
                    SamplingDuration = OutageWindow,
                    BreakDuration = options.OutagePause,
                    ShouldHandle = x => ValueTask.FromResult(x.Outcome.Result is RenderFailure { IsOutage: true }),
                    OnOpened = x => new ValueTask(
                        gates.CloseAsync(
                            name,
                            x.BreakDuration,
                            $"Outage; the last of its failures: {(x.Outcome.Result as RenderFailure)?.Reason}"
                        )
                    ),
                }
            )
            .Build();
    }

    /// <param name="request">The attempt.</param>
    /// <param name="cancellation">The caller's; a provider that is too slow is no cancellation.</param>
    public async Task<RenderResult> RenderAsync(RenderImage request, CancellationToken cancellation)
    {
        using var turn = await _turns.EnterAsync(cancellation);
        if (turn is null)
            return new ProviderBusy(_options.TurnPatience, $"{_name} has no turn free.", ClosesGate: false);

        try
        {
            return await _breaker.ExecuteAsync(
                static async (state, token) => await state.Provider.MeasureAsync(state.Request, token),
                (Provider: this, Request: request),
                cancellation
            );
        }
        catch (BrokenCircuitException e)
        {
            return new ProviderBusy(e.RetryAfter, $"{_name} is away; it is asked again soon.", ClosesGate: false);
        }
    }

    public void Dispose()
    {
        _generator.Dispose();
        _turns.Dispose();
        _intake.Dispose();
    }

    private async Task<RenderResult> MeasureAsync(RenderImage request, CancellationToken cancellation)
    {
        var startedAt = _clock.GetTimestamp();
        var result = await AskAsync(request, cancellation);
        _metrics.Called(_name, result, _clock.GetElapsedTime(startedAt));
        return result;
    }

    private async Task<RenderResult> AskAsync(RenderImage request, CancellationToken cancellation)
    {
        using var timeout = new CancellationTokenSource(_timeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, timeout.Token);
        try
        {
            var response = await _generator.GenerateAsync(
                new ImageGenerationRequest(request.Prompt),
                RenderSettings.Of(request, _name),
                either.Token
            );
            return await _intake.TakeAsync(response, either.Token);
        }
        catch (NoPictureException e)
        {
            return e.Result;
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && IsTimeout(e))
        {
            return Outage($"The provider did not deliver within {_timeout.TotalSeconds:0.#} s.");
        }
        catch (Exception e)
            when (!cancellation.IsCancellationRequested
                && e is ClientResultException or HttpRequestException or IOException
            )
        {
            return Outage($"The provider did not deliver: {e.Message}");
        }
    }

    // The pipeline's own time-out comes wrapped or bare.
    private static bool IsTimeout(Exception e) => e is OperationCanceledException or TimeoutException;

    private static RenderFailure Outage(string reason) =>
        new(RenderFailureKinds.Transient, reason, RetryAfter: null, IsOutage: true);
}
