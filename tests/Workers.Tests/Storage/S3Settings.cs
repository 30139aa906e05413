using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Storage;

namespace Pipeline.Workers.Tests.Storage;

/// <summary>The real S3 server that the tests use, from the variables that <c>eng/services env test</c> prints.</summary>
internal static class S3Settings
{
    public static StorageOptions Read()
    {
        var configuration = new ConfigurationBuilder().AddEnvironmentVariables().Build();
        if (configuration["Storage:ServiceUrl"] is null)
            throw new InvalidOperationException(
                "These tests need an S3 server and fail without one: start ./test, or eval \"$(eng/services env test)\" first."
            );
        return Provider(configuration).GetRequiredService<StorageOptions>();
    }

    /// <summary>The room as the host registers it.</summary>
    public static ServiceProvider Provider(IConfiguration configuration) =>
        new ServiceCollection().AddStorage(configuration).BuildServiceProvider(validateScopes: true);

    public static S3ImageStore Store(StorageOptions options) =>
        new(
            S3Client.Create(options, options.ServiceUrl),
            options,
            TimeProvider.System,
            NullLogger<S3ImageStore>.Instance
        );

    /// <summary>The test server's settings with some changed, as an operator would get them wrong.</summary>
    public static StorageOptions With(
        string? serviceUrl = null,
        string? bucket = null,
        string? accessKey = null,
        string? secretKey = null,
        TimeSpan? requestTimeout = null
    )
    {
        var settings = Read();
        return new StorageOptions
        {
            ServiceUrl = serviceUrl ?? settings.ServiceUrl,
            Region = settings.Region,
            Bucket = bucket ?? settings.Bucket,
            AccessKey = accessKey ?? settings.AccessKey,
            SecretKey = secretKey ?? settings.SecretKey,
            RequestTimeout = requestTimeout ?? settings.RequestTimeout,
            RequestRetries = 0,
        };
    }
}
