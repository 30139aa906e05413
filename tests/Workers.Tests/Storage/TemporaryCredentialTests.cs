using System.Globalization;
using Amazon.Runtime;
using Amazon.S3;
using Microsoft.Extensions.Logging.Abstractions;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Urls;
using Pipeline.Workers.Urls.Strategies;
using Shouldly;
using Xunit;

namespace Pipeline.Workers.Tests.Storage;

/// <summary>A URL works no longer than what it was signed with, and its stored end says so.</summary>
public sealed class TemporaryCredentialTests
{
    private const string Key = "projects/p/i/a.png";

    [Fact]
    public async Task Url_ends_with_the_credentials()
    {
        var end = TimeProvider.System.GetUtcNow().AddMinutes(20);

        var signed = await Store(end.UtcDateTime).PresignGetAsync(Key, TimeSpan.FromHours(1), default);

        signed.ExpiresAt.ShouldBeInRange(end.AddSeconds(-1), end); // Signatures count in whole seconds.
        var seconds = int.Parse(
            System.Web.HttpUtility.ParseQueryString(signed.Url.Query)["X-Amz-Expires"]!,
            CultureInfo.InvariantCulture
        );
        seconds.ShouldBeInRange(1_100, 1_200);
    }

    [Fact]
    public async Task Session_token_whose_end_is_not_known_signs_nothing() =>
        await Should.ThrowAsync<StorageMisconfiguredException>(() =>
            Store(end: null).PresignGetAsync(Key, TimeSpan.FromHours(1), default)
        );

    [Fact]
    public async Task Url_never_works_for_more_than_seven_days() =>
        await Should.ThrowAsync<ArgumentOutOfRangeException>(() =>
            S3Settings
                .Store(S3Settings.Read())
                .PresignGetAsync(Key, TimeSpan.FromDays(7) + TimeSpan.FromSeconds(1), default)
        );

    [Fact]
    public async Task Credentials_that_are_about_to_end_make_the_chain_go_on()
    {
        var step = new S3Step(Store(TimeProvider.System.GetUtcNow().AddSeconds(10).UtcDateTime), TimeProvider.System);

        var answer = await step.SignAsync(new UrlRequest(Key, new VariantOptions(), TimeSpan.FromHours(1)), default);

        answer.ShouldBeOfType<StepFailure>().Code.ShouldBe("credentials");
    }

    private static S3ImageStore Store(DateTime? end)
    {
        var config = new AmazonS3Config
        {
            ServiceURL = "http://127.0.0.1:9",
            ForcePathStyle = true,
            DefaultAWSCredentials = new Temporary(end),
        };
        return new S3ImageStore(
            new AmazonS3Client(config),
            new StorageOptions { ServiceUrl = config.ServiceURL, Bucket = "pictures" },
            TimeProvider.System,
            NullLogger<S3ImageStore>.Instance
        );
    }

    private sealed class Temporary : AWSCredentials
    {
        public Temporary(DateTime? end) => Expiration = end;

        public override ImmutableCredentials GetCredentials() => new("AKIDEXAMPLE", "secret", "token");
    }
}
