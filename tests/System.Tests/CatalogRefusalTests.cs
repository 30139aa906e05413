using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A rebuild that the real S3 server refuses.</summary>
public sealed class CatalogRefusalTests : CatalogStack
{
    [Fact]
    public async Task Bucket_that_is_not_there_is_named_and_the_catalogue_stays_as_it_is()
    {
        await PlantAsync(3);
        await Bucket.Client.DeleteBucketAsync(Bucket.Name);
        StartWorker("worker");
        await using var publisher = NewPublisher();

        var receipt = await RebuildAsync(publisher, during: null, outcome: "failed");

        receipt.ShouldContain("NoSuchBucket");
        (await ScalarAsync<string>("select state from status.catalog_rebuilds")).ShouldBe("Abandoned");
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(3);

        await Bucket.Client.PutBucketAsync(Bucket.Name);
        await RebuildAsync(publisher, during: null);
        (await ScalarAsync<long>("select count(*) from status.catalog")).ShouldBe(0);
    }
}
