using System.Security.Cryptography;
using System.Text;
using Pipeline.Contracts.Deleting;
using Pipeline.Contracts.Saving;
using Pipeline.Wire;
using Shouldly;

namespace Pipeline.SystemTests.Harness;

/// <summary>A pipeline with a bucket of its own behind a proxy, CloudFront, and a cache that takes PURGE.</summary>
public class DeletionStack : Stack
{
    private S3Proxy _store = null!;

    internal ScratchBucket Bucket { get; } = new();

    internal S3Proxy Store => _store;

    internal CdnStub Cdn { get; private set; } = null!;

    /// <summary>Verbs of this pipeline use its bucket too.</summary>
    public override IReadOnlyDictionary<string, string> PublisherSettings =>
        new Dictionary<string, string>(base.PublisherSettings, StringComparer.Ordinal)
        {
            ["Storage__Bucket"] = Bucket.Name,
        };

    /// <summary>How long deleted, replaced and orphaned bytes stay.</summary>
    private protected virtual string GracePeriod => "00:00:00";

    /// <summary>Bytes with a URL outlive their replacement; where no URL is signed, replaced bytes go at once.</summary>
    private protected virtual string UrlSweepEvery => "00:01:00";

    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            ("Storage__ServiceUrl", _store.Url),
            ("Storage__Bucket", Bucket.Name),
            ("Storage__RequestRetries", "0"),
            ("Storage__RequestTimeout", "00:00:10"),
            ("Retention__Deleted", GracePeriod),
            ("Retention__Replaced", "00:00:00"),
            ("Retention__Orphaned", "00:00:00"),
            ("Urls__SweepEvery", UrlSweepEvery),
            ("Deleting__BackoffFirst", "00:00:00.050"),
            ("Deleting__BackoffLimit", "00:00:00.200"),
            ("Deleting__SweepEvery", "00:00:00.050"),
            ("Deleting__AttemptLimit", "3"),
            .. Cdn.Settings,
        ];

    public override async Task InitializeAsync()
    {
        _store = await S3Proxy.StartAsync(Bucket.Client);
        Cdn = await CdnStub.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await Cdn.DisposeAsync();
        await _store.DisposeAsync();
        await Bucket.DisposeAsync();
    }

    /// <summary>Puts bytes where an import would, and says so.</summary>
    internal async Task<string> StoreAsync(Guid projectId, Guid imageId, string content)
    {
        var bytes = Encoding.UTF8.GetBytes(content);
        var key = $"projects/{projectId:D}/{imageId:D}/{Convert.ToHexStringLower(SHA256.HashData(bytes))}.png";
        await Bucket.PutAsync(key, bytes);
        await PlantObjectsAsync([key]);
        return key;
    }

    internal static SaveImage Save(Guid projectId, Guid imageId, string content) =>
        new(
            Guid.NewGuid(),
            projectId,
            imageId,
            SceneId: null,
            SceneIndex: null,
            Slot: 0,
            KeyOf(projectId, imageId, content),
            Hash(content),
            "image/png",
            Encoding.UTF8.GetByteCount(content),
            Width: 8,
            Height: 8
        );

    internal static ReplaceImage Replace(Guid projectId, Guid imageId, string content) =>
        new(
            Guid.NewGuid(),
            projectId,
            imageId,
            KeyOf(projectId, imageId, content),
            Hash(content),
            "image/png",
            Encoding.UTF8.GetByteCount(content),
            Width: 8,
            Height: 8
        );

    internal static DeleteImage Delete(Guid projectId, Guid imageId) => new(Guid.NewGuid(), projectId, imageId);

    internal static string KeyOf(Guid projectId, Guid imageId, string content) =>
        $"projects/{projectId:D}/{imageId:D}/{Hash(content)}.png";

    internal async Task SendAsync(params WireMessage[] messages)
    {
        await using var publisher = NewPublisher();
        await publisher.PublishAllAsync(messages, CancellationToken.None);
    }

    /// <summary>A picture of its own project that is shown.</summary>
    internal async Task<(Guid ProjectId, Guid ImageId)> ShownAsync(string content)
    {
        var (project, image) = (Guid.NewGuid(), Guid.NewGuid());
        await StoreAsync(project, image, content);
        await SendAsync(WireMessage.Command(Save(project, image, content)));
        await UntilAsync("the picture is shown", async () => await StateAsync(image) == "shown");
        return (project, image);
    }

    internal Task<string> StateAsync(Guid imageId) =>
        ScalarAsync<string>("select coalesce((select state from status.images where id = $1), 'none')", imageId);

    /// <summary>The outcome of the save or replacement that an import has queued; <c>none</c> before it has one.</summary>
    internal Task<string> FollowUpAsync(Guid importId) =>
        ScalarAsync<string>(
            """
            select coalesce((select f.outcome from status.receipts i
                join status.receipts f on f.command_id = i.follow_up_id where i.command_id = $1), 'none')
            """,
            importId
        );

    internal Task<string> OutcomeAsync(Guid commandId) =>
        ScalarAsync<string>(
            "select coalesce((select outcome from status.receipts where command_id = $1), 'none')",
            commandId
        );

    internal Task UntilCompletedAsync(Guid commandId) =>
        UntilAsync(
            "the deletion is completed",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.deletions where command_id = $1 and state = 'Completed'",
                    commandId
                ) == 1
        );

    /// <summary>Waits until no deletion is open, then counts rows without objects and objects without rows.</summary>
    internal async Task ShouldBeCleanAsync()
    {
        await UntilAsync(
            "every deletion has ended",
            async () =>
                await ScalarAsync<long>(
                    "select count(*) from status.deletions where state not in ('Completed', 'Restored') and due_at < now() + interval '1 minute' or state in ('Purging', 'Verifying', 'Invalidating')"
                ) == 0
        );
        // What waits for its object has none; what is deleted keeps its own while it can be restored, and what was
        // replaced while a URL of it works.
        var named = await RowsAsync(
            """
            select object_key from status.images
            where state <> 'deleted' and waits_for is distinct from 'object' or restorable
            """,
            x => x.GetString(0)
        );
        var replaced = await RowsAsync(
            "select object_key from status.deletions where state = 'Tombstoned' and kind = 'object'",
            x => x.GetString(0)
        );
        var stored = await Bucket.KeysAsync("projects/");
        named.Except(stored, StringComparer.Ordinal).ShouldBeEmpty("rows without their object");
        stored.Except(named.Concat(replaced), StringComparer.Ordinal).ShouldBeEmpty("objects without a row");
        var known = await RowsAsync("select key from status.catalog where key like 'projects/%'", x => x.GetString(0));
        known.ShouldBe(stored, StringComparer.Ordinal, ignoreOrder: true);
    }

    private static string Hash(string content) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)));
}
