using Amazon.S3.Model;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>The real S3 server tells the real broker of what others do in the bucket.</summary>
public sealed class StoreNotificationTests : Stack
{
    private static readonly string[] Keys =
    [
        "14000.jpg",
        "a+b c/%2F/ünï🎉.png",
        .. Enumerable.Range(0, 30).Select(x => $"many/{x}.png"),
    ];

    private readonly ScratchBucket _bucket = new();

    protected override IEnumerable<(string Name, string Value)> WorkerSettings => [("Storage__Bucket", _bucket.Name)];

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _bucket.DisposeAsync();
    }

    [Fact]
    public async Task What_others_put_and_delete_is_in_the_catalogue_at_once()
    {
        var name = $"t{Guid.NewGuid():N}";
        var topic = await CephTopic.CreateAsync(name, await AllowGuestAsync("object-events"), "object-events");
        var notify = new PutBucketNotificationRequest
        {
            BucketName = _bucket.Name,
            TopicConfigurations = [new TopicConfiguration { Id = "catalogue", Topic = topic }],
        };
        await _bucket.Client.PutBucketNotificationAsync(notify);
        HostWorker("worker");

        foreach (var key in Keys)
            await _bucket.PutAsync(key, [1, 2, 3]);
        await UntilCataloguedAsync();
        (await ScalarAsync<long>("select count(*) from pipeline.catalog_entries where sequencer is not null")).ShouldBe(
            Keys.Length
        );

        // One by one, and several at once as a purge does it.
        await _bucket.Client.DeleteObjectAsync(_bucket.Name, Keys[1]);
        await _bucket.DeleteAsync(Keys.Skip(2));
        await _bucket.PutAsync(Keys[^1], [1]);
        await UntilCataloguedAsync();
        (await MessagesAsync("object-events_error")).ShouldBe(0u);
    }

    private async Task UntilCataloguedAsync()
    {
        var stored = await _bucket.KeysAsync();
        await UntilAsync(
            "the catalogue agrees",
            async () =>
                (await RowsAsync("select key from status.catalog order by key", x => x.GetString(0))).SequenceEqual(
                    stored,
                    StringComparer.Ordinal
                )
        );
    }
}
