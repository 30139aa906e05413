using System.Globalization;
using Npgsql;
using Pipeline.Formats;
using Pipeline.Publisher.Uploading;

namespace Pipeline.Publisher.Settings;

/// <summary>
/// What the environment (or an <c>appsettings.json</c> beside the program) says. Each setting is checked when a verb
/// first needs it, so that a verb asks only for what it uses.
/// </summary>
internal sealed class PublisherSettings(IConfiguration configuration)
{
    private const string BrokerVariable = "Publisher__RabbitMq";
    private const string StatusVariable = "ConnectionStrings__Status";
    private const string UrlVariable = "Publisher__Url";

    /// <summary>The broker, credentials and virtual host included.</summary>
    /// <exception cref="SettingsException">Absent, or no AMQP address.</exception>
    public Uri Broker
    {
        get
        {
            var text =
                Optional(BrokerVariable)
                ?? Optional("ConnectionStrings__RabbitMq")
                ?? throw Missing(
                    BrokerVariable,
                    "the broker's address, such as amqp://user:password@localhost:5672/pipeline"
                );
            return Uri.TryCreate(text, UriKind.Absolute, out var broker) && broker.Scheme is "amqp" or "amqps"
                ? broker
                : throw new SettingsException(
                    BrokerVariable,
                    "must be an address such as amqp://user:password@host:5672/vhost"
                );
        }
    }

    /// <summary>Npgsql's connection string for the role that may read the views of schema <c>status</c>.</summary>
    /// <exception cref="SettingsException">Absent, or no connection string.</exception>
    public string StatusDatabase
    {
        get
        {
            const string example =
                "such as Host=localhost;Database=pipeline;Username=pipeline_publisher;Password=secret";
            var text = Optional(StatusVariable) ?? throw Missing(StatusVariable, $"a connection string {example}");
            try
            {
                return new NpgsqlConnectionStringBuilder(text).ConnectionString;
            }
            catch (Exception e) when (e is ArgumentException or FormatException)
            {
                throw new SettingsException(StatusVariable, $"must be a connection string {example}");
            }
        }
    }

    public StorageSettings Storage =>
        new(
            Web("Storage__ServiceUrl"),
            Web("Storage__PublicUrl"),
            Optional("Storage__Region") ?? "us-east-1",
            Optional("Storage__Bucket") ?? throw Missing("Storage__Bucket", "the bucket that holds the pictures"),
            Optional("Storage__AccessKey"),
            Optional("Storage__SecretKey")
        );

    /// <exception cref="SettingsException">One of them is out of its range.</exception>
    public UploadLimits Uploads =>
        new(
            (int)Number("Uploads__SizeLimitBytes", ImageLimits.BytesMax, 1, ImageLimits.BytesMax),
            Number("Uploads__PixelLimit", ImageLimits.PixelsMax, 1, ImageLimits.PixelsMax),
            (int)Number("Uploads__FilesPerRequest", 20, 1, 100),
            Duration(
                "Uploads__RequestTimeout",
                TimeSpan.FromMinutes(5),
                TimeSpan.FromSeconds(1),
                TimeSpan.FromHours(1)
            ),
            Duration("Uploads__UrlLifetime", TimeSpan.FromMinutes(15), TimeSpan.FromMinutes(1), TimeSpan.FromHours(12)),
            Duration("Uploads__ConfirmWithin", TimeSpan.FromHours(12), TimeSpan.FromMinutes(1), TimeSpan.FromDays(7))
        );

    /// <summary>Where <c>serve</c> listens.</summary>
    public Uri ListenUrl =>
        Web(UrlVariable) ?? throw Missing(UrlVariable, "the address to listen at, such as http://localhost:8080");

    /// <summary>The base of links for people; null where none is set. A wildcard address is nothing that one can open.</summary>
    public Uri? LinkBase =>
        Web(UrlVariable) is not { } url ? null
        : url.Host is "0.0.0.0" or "[::]" ? new UriBuilder(url) { Host = "localhost" }.Uri
        : url;

    private Uri? Web(string variable)
    {
        if (Optional(variable) is not { } text)
            return null;
        return
            Uri.TryCreate(text, UriKind.Absolute, out var url)
            && url.Scheme is "http" or "https"
            && url.PathAndQuery == "/"
            ? url
            : throw new SettingsException(variable, "must be http://host[:port] or https://host[:port] and no more");
    }

    private long Number(string variable, long preset, long min, long max)
    {
        if (Optional(variable) is not { } text)
            return preset;
        return
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number >= min
            && number <= max
            ? number
            : throw new SettingsException(variable, $"must be a number from {min} to {max}");
    }

    private TimeSpan Duration(string variable, TimeSpan preset, TimeSpan min, TimeSpan max)
    {
        if (Optional(variable) is not { } text)
            return preset;
        return
            TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var duration)
            && duration >= min
            && duration <= max
            ? duration
            : throw new SettingsException(variable, $"must be a duration from {min:c} to {max:c}, such as {preset:c}");
    }

    private string? Optional(string variable) =>
        configuration[variable.Replace("__", ":", StringComparison.Ordinal)] is { Length: > 0 } value ? value : null;

    private static SettingsException Missing(string variable, string what) => new(variable, $"is not set: {what}");
}

/// <summary>The object store, for uploads and for presigned reads.</summary>
/// <param name="ServiceUrl">An S3 server other than AWS; null for AWS in <paramref name="Region"/>.</param>
/// <param name="PublicUrl">The same server as browsers reach it, where that is another address.</param>
/// <param name="Region">Of the bucket.</param>
/// <param name="Bucket">The bucket's name.</param>
/// <param name="AccessKey">Null, like <paramref name="SecretKey"/>: the AWS SDK looks for credentials itself.</param>
/// <param name="SecretKey">Never printed.</param>
internal sealed record StorageSettings(
    Uri? ServiceUrl,
    Uri? PublicUrl,
    string Region,
    string Bucket,
    string? AccessKey,
    string? SecretKey
);

/// <summary>A setting is absent or wrong. The message names the environment variable, and never its value.</summary>
internal sealed class SettingsException(string variable, string problem) : Exception($"{variable} {problem}.");
