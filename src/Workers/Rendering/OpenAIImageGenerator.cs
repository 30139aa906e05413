using System.ClientModel;
using System.ClientModel.Primitives;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Images;
using Pipeline.Contracts.Generation;
using Pipeline.Formats;
using Pipeline.Workers.Fetching;
using Pipeline.Workers.Models;
using ImageGenerationOptions = Microsoft.Extensions.AI.ImageGenerationOptions;

namespace Pipeline.Workers.Rendering;

/// <summary>Any server with OpenAI's image API (<c>POST {endpoint}/images/generations</c>), asked once for each call.</summary>
/// <remarks>
/// The package's typed answer drops the error's code and reads bodies of any length, so this uses its pipeline and
/// reads the JSON itself.
/// </remarks>
internal sealed class OpenAIImageGenerator : IImageGenerator
{
    // A picture of the largest size in base64, and the JSON around it.
    private const int AnswerLimitBytes = ImageLimits.BytesMax / 3 * 4 + 65_536;

    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(5); // Follows changes in DNS.

    // What a command may not say in its options, since the pipeline says it.
    private static readonly HashSet<string> Reserved = new(StringComparer.Ordinal)
    {
        "model",
        "prompt",
        "n",
        "size",
        "stream",
        "partial_images",
    };

    private readonly string _model;
    private readonly bool _takesSeed;
    private readonly TimeProvider _clock;
    private readonly HttpClient _http;
    private readonly ImageClient _client;

    /// <param name="name">The model's name in this installation.</param>
    /// <param name="options">Its settings.</param>
    /// <param name="timeout">Of one call; whoever calls has the same limit for the whole attempt.</param>
    /// <param name="clock">Reads a Retry-After that is a date.</param>
    public OpenAIImageGenerator(string name, ModelOptions options, TimeSpan timeout, TimeProvider clock)
    {
        _model = options.Model ?? name;
        _takesSeed = options.TakesSeed;
        _clock = clock;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, // A redirect would send the key elsewhere.
            UseCookies = false,
            ConnectTimeout = ConnectTimeout,
            PooledConnectionLifetime = ConnectionLifetime,
        };
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan }; // NetworkTimeout bounds it.
        var settings = new OpenAIClientOptions
        {
            Transport = new HttpClientPipelineTransport(_http),
            RetryPolicy = new ClientRetryPolicy(maxRetries: 0), // The saga counts attempts; these would multiply them.
            NetworkTimeout = timeout,
        };
        if (options.Endpoint is not null)
            settings.Endpoint = options.Endpoint;
        _client = new ImageClient(_model, new ApiKeyCredential(options.ApiKey ?? "none"), settings);
    }

    /// <returns>One content: the bytes, or the URL where they can be fetched for a while.</returns>
    /// <exception cref="NoPictureException">The provider answered, but with no picture.</exception>
    /// <exception cref="ClientResultException">No connection, or it broke.</exception>
    /// <exception cref="IOException">The same, in the middle of the answer.</exception>
    public async Task<ImageGenerationResponse> GenerateAsync(
        ImageGenerationRequest request,
        ImageGenerationOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        using var content = BinaryContent.Create(BinaryData.FromString(Body(request, options).ToJsonString()));
        var call = new RequestOptions
        {
            CancellationToken = cancellationToken,
            ErrorOptions = ClientErrorBehaviors.NoThrow,
            BufferResponse = false, // A body of any length would be taken into memory.
        };
        var result = await _client.GenerateImagesAsync(content, call);
        using var answer = result.GetRawResponse();
        var body = await ReadAsync(answer, cancellationToken);
        return new ImageGenerationResponse([ProviderAnswer.Read(answer.Status, body, RetryAfter(answer))]);
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose() => _http.Dispose();

    private JsonObject Body(ImageGenerationRequest request, ImageGenerationOptions? options)
    {
        var body = new JsonObject
        {
            ["model"] = _model,
            ["prompt"] = request.Prompt,
            ["n"] = 1,
        };
        if (options?.ImageSize is { } size)
            body["size"] = $"{size.Width}x{size.Height}";
        foreach (var (name, value) in options?.AdditionalProperties ?? [])
        {
            if (Reserved.Contains(name))
            {
                throw new NoPictureException(
                    new RenderFailure(RenderFailureKinds.Permanent, $"options.{name}: is set by the pipeline itself.")
                );
            }

            if (value is long seed && _takesSeed)
                body[name] = seed;
            else if (value is string text)
                body[name] = Typed(text);
        }

        return body;
    }

    // Options are texts on the wire, but output_compression is a number there.
    private static JsonNode Typed(string text) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
        : bool.TryParse(text, out var truth) ? truth
        : text;

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(PipelineResponse answer, CancellationToken cancellation)
    {
        if (answer.ContentStream is not { } stream)
            return default;
        return await BoundedReader.ReadAsync(stream, expectedBytes: null, AnswerLimitBytes, cancellation)
            ?? throw new NoPictureException(
                new RenderFailure(
                    RenderFailureKinds.Permanent,
                    $"The provider answered {answer.Status} with more than {AnswerLimitBytes} bytes."
                )
            );
    }

    /// <summary>Seconds or a date (RFC 9110, 10.2.3), or OpenAI's own milliseconds.</summary>
    private TimeSpan? RetryAfter(PipelineResponse answer)
    {
        if (answer.Headers.TryGetValue("retry-after-ms", out var text) && Number(text) is { } milliseconds)
            return TimeSpan.FromMilliseconds(milliseconds);
        if (!answer.Headers.TryGetValue("Retry-After", out text))
            return null;
        if (Number(text) is { } seconds)
            return TimeSpan.FromSeconds(seconds);
        if (!DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date))
            return null;
        var left = date - _clock.GetUtcNow();
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;

        static double? Number(string? text) =>
            double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number <= int.MaxValue
                ? number
                : null;
    }
}
