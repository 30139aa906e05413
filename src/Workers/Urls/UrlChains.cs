using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Urls.Strategies;

namespace Pipeline.Workers.Urls;

/// <summary>The configured variants, each with its chain.</summary>
internal sealed class UrlChains : IDisposable
{
    private readonly List<RemoteCalls> _calls = [];

    public UrlChains(UrlsOptions options, StorageOptions storage, IImageStore store, TimeProvider clock)
    {
        var imgproxy = new Lazy<RemoteCalls>(NewCalls);
        var supabase = new Lazy<RemoteCalls>(NewCalls);
        Variants = options.AllVariants.ToDictionary(
            x => x.Key,
            x => new UrlChain(x.Value, [.. x.Value.Steps.SelectMany(step => StepsOf(step, x.Value))], options, clock),
            StringComparer.Ordinal
        );

        // Keys of servers change without changing what URLs look like; the rest makes every picture due.
        var settings = JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                variants = options.AllVariants,
                options.PublicBaseUrl,
                options.PlaceholderUrl,
                imgproxy = options.Imgproxy.Url,
                supabase = options.Supabase.Url,
                storage = storage.PublicUrl ?? storage.ServiceUrl,
            }
        );
        Configuration = BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(settings));

        RemoteCalls NewCalls()
        {
            var calls = new RemoteCalls(options, clock);
            _calls.Add(calls);
            return calls;
        }

        IEnumerable<IUrlStep> StepsOf(string step, VariantOptions variant) =>
            step switch
            {
                "imgproxy" => [new ImgproxyStep(options.Imgproxy, storage.Bucket, imgproxy.Value, clock)],
                "supabase" => SupabaseFormats(variant)
                    .Select(x => new SupabaseStep(options.Supabase, storage.Bucket, x, supabase.Value, clock)),
                "s3" => [new S3Step(store, clock)],
                "public" => [new PublicStep(options.PublicBaseUrl!, clock)],
                "placeholder" => [new PlaceholderStep(options.PlaceholderUrl!, clock)],
                _ => throw new NotSupportedException(step),
            };
    }

    /// <summary>By name.</summary>
    public IReadOnlyDictionary<string, UrlChain> Variants { get; }

    /// <summary>Another value means that pictures were signed for other settings.</summary>
    public long Configuration { get; }

    public void Dispose()
    {
        foreach (var calls in _calls)
            calls.Dispose();
    }

    // An older server takes fewer formats; the original's own needs none, and untransformed is better than nothing.
    private static IEnumerable<string> SupabaseFormats(VariantOptions variant) =>
        (variant.IsTransformed ? new[] { variant.Format, Formats.Origin } : [])
            .Append(SupabaseStep.Plain)
            .Distinct(StringComparer.Ordinal);
}
