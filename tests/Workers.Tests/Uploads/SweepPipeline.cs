using Amazon.S3;
using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts.Importing;
using Pipeline.Workers.Messaging;
using Pipeline.Workers.Storage;
using Pipeline.Workers.Tests.Harness;
using Pipeline.Workers.Uploads;

namespace Pipeline.Workers.Tests.Uploads;

/// <summary>The sweep of uploads on the real servers, with a bucket of its own. Nobody imports.</summary>
public class SweepPipeline : SlicePipeline
{
    public string Bucket { get; } = $"t-{Guid.NewGuid():N}";

    public AmazonS3Client S3 => (AmazonS3Client)Worker.Services.GetRequiredService<IAmazonS3>();

    /// <summary>Keys that the store does not let go.</summary>
    internal ICollection<string> Refused => ((RefusingStore)Store).Refused;

    protected virtual string Grace => "00:00:02";

    public override async Task DisposeAsync()
    {
        foreach (var stored in (await S3.ListObjectsV2Async(new() { BucketName = Bucket })).S3Objects ?? [])
            await S3.DeleteObjectAsync(Bucket, stored.Key);
        await S3.DeleteBucketAsync(Bucket);
        await base.DisposeAsync();
    }

    internal ValueTask SendAsync(ImportImage command) => SendAsync(command, command.CommandId);

    /// <summary>Takes every import out of the queue, as its workers would.</summary>
    internal Task PurgeAsync() => PurgeAsync("import-image");

    internal Task PutAsync(string key) => Store.PutOnceAsync(key, new byte[10], "image/png", default);

    internal async Task<bool> HasAsync(string key) => await Store.HeadAsync(key, default) is not null;

    /// <summary>Waits until a kind of leftover was looked for twice from now on.</summary>
    internal async Task UntilSweptAsync(string kind)
    {
        for (var sweeps = 0; sweeps < 2; sweeps++)
        {
            var before = await DueAsync();
            await Until.TrueAsync($"a sweep of {kind}", async () => await DueAsync() != before);
        }

        Task<string?> DueAsync() => AskAsync("select due_at from pipeline.upload_sweeps where kind = $1", kind);
    }

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [new("Storage:Bucket", Bucket), new("Uploads:Grace", Grace), new("Uploads:SweepEvery", "00:00:00.200")];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration)
    {
        bus.AddUploads(configuration);
        bus.AddSingleton<IImageStore>(provider => new RefusingStore(
            ActivatorUtilities.CreateInstance<S3ImageStore>(provider)
        ));
        bus.AddSingleton(new WorkQueue("import-image"));
    }
}

/// <summary>The same, with a grace time that no test outlives.</summary>
public sealed class PatientSweepPipeline : SweepPipeline
{
    protected override string Grace => "1.00:00:00";
}
