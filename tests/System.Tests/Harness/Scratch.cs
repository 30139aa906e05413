using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// Names for what tests make on the shared servers, and its removal in the background, so that no test waits for it.
/// A name holds the pid and the start time of the test process. The next process removes what a process that is gone
/// has left behind.
/// </summary>
internal static partial class Scratch
{
    // A test that ends while this many removals wait does wait, so that the servers never hold more than that.
    private const int WaitingLimit = 8;

    private static readonly string Owner = $"t_{Environment.ProcessId}_{StartOf(Environment.ProcessId)}";

    private static readonly Channel<Func<Task>> Removals = Channel.CreateBounded<Func<Task>>(WaitingLimit);

    private static readonly ConcurrentQueue<Exception> Failures = new();

    private static int _names;

    static Scratch()
    {
        Removals.Writer.TryWrite(RemoveLeftoversAsync);
        _ = Task.Run(async () =>
        {
            await foreach (var remove in Removals.Reader.ReadAllAsync())
            {
                try
                {
                    await remove();
                }
                catch (Exception e)
                {
                    Failures.Enqueue(e); // The next test that hands something over fails with it.
                }
            }
        });
    }

    /// <summary>Of a virtual host, a database, a user: lower-case letters, digits and underscores.</summary>
    public static string NewName() => $"{Owner}_{Interlocked.Increment(ref _names)}";

    /// <summary>Of a bucket, in which there may be no underscores.</summary>
    public static string NewBucketName() => NewName().Replace('_', '-');

    public static string Required(string variable) =>
        Environment.GetEnvironmentVariable(variable)
        ?? throw new InvalidOperationException(
            $"{variable} is not set. Run ./test, or: eval \"$(eng/services env test)\"."
        );

    public static AmazonS3Client NewStoreClient() =>
        new(
            new BasicAWSCredentials(Required("Storage__AccessKey"), Required("Storage__SecretKey")),
            new AmazonS3Config
            {
                ServiceURL = Required("Storage__ServiceUrl"),
                ForcePathStyle = true,
                AuthenticationRegion = Required("Storage__Region"),
                RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
                ResponseChecksumValidation = ResponseChecksumValidation.WHEN_REQUIRED,
            }
        );

    /// <summary>Removes a virtual host and a database of the same name, soon. Nobody uses them any more.</summary>
    public static ValueTask RemoveLaterAsync(string name, params IEnumerable<string> users)
    {
        string[] all = [.. users];
        return RemoveLaterAsync(async () =>
        {
            using var management = new BrokerManagement();
            foreach (var user in all)
                await management.SendAsync(HttpMethod.Delete, $"/api/users/{user}", ignoreMissing: true);
            await RemoveVirtualHostAsync(management, name);
            await DatabaseServer.DropAsync(name);
        });
    }

    public static ValueTask RemoveVirtualHostLaterAsync(string name) =>
        RemoveLaterAsync(async () =>
        {
            using var management = new BrokerManagement();
            await RemoveVirtualHostAsync(management, name);
        });

    public static ValueTask RemoveLaterAsync(Func<Task> remove) =>
        Failures.TryDequeue(out var failure)
            ? throw new InvalidOperationException("What an earlier test has left could not be removed.", failure)
            : Removals.Writer.WriteAsync(remove);

    /// <summary>Empties a bucket and deletes it; one that was never made is no error.</summary>
    public static async Task RemoveBucketAsync(AmazonS3Client store, string bucket)
    {
        try
        {
            var page = new ListObjectsV2Request { BucketName = bucket };
            for (var isLast = false; !isLast; )
            {
                var listed = await store.ListObjectsV2Async(page);
                if (listed.S3Objects is { Count: > 0 } objects)
                    await store.DeleteObjectsAsync(
                        new DeleteObjectsRequest
                        {
                            BucketName = bucket,
                            Objects = [.. objects.Select(x => new KeyVersion { Key = x.Key })],
                        }
                    );
                isLast = listed.IsTruncated != true;
                page.ContinuationToken = listed.NextContinuationToken;
            }

            await store.DeleteBucketAsync(bucket);
        }
        catch (AmazonS3Exception e) when (e.StatusCode == HttpStatusCode.NotFound) { }
    }

    private static Task RemoveVirtualHostAsync(BrokerManagement management, string name) =>
        management.SendAsync(HttpMethod.Delete, $"/api/vhosts/{name}", ignoreMissing: true);

    private static async Task RemoveLeftoversAsync()
    {
        using var management = new BrokerManagement();
        foreach (var kind in new[] { "users", "vhosts" })
        {
            using var all = JsonDocument.Parse(await management.GetAsync($"/api/{kind}?columns=name"));
            foreach (var name in all.RootElement.EnumerateArray().Select(x => x.GetProperty("name").GetString()!))
            {
                if (IsLeftover(name))
                    await management.SendAsync(HttpMethod.Delete, $"/api/{kind}/{name}", ignoreMissing: true);
            }
        }

        foreach (var name in await DatabaseServer.NamesAsync())
        {
            if (IsLeftover(name))
                await DatabaseServer.DropAsync(name);
        }

        using var store = NewStoreClient();
        foreach (var bucket in (await store.ListBucketsAsync()).Buckets ?? [])
        {
            if (IsLeftover(bucket.BucketName.Replace('-', '_')))
                await RemoveBucketAsync(store, bucket.BucketName);
        }
    }

    private static bool IsLeftover(string name) =>
        ScratchName().Match(name) is { Success: true } match
        && StartOf(int.Parse(match.Groups["pid"].Value, CultureInfo.InvariantCulture)) != match.Groups["start"].Value;

    /// <summary>When a process was started, in clock ticks after the boot; empty where there is no such process.</summary>
    private static string StartOf(int pid)
    {
        try
        {
            // The second field, the program's name, may hold blanks and brackets; the 22nd is the start time.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19];
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or IOException)
        {
            return "";
        }
    }

    [GeneratedRegex("^t_(?<pid>[0-9]{1,9})_(?<start>[0-9]+)_[0-9]", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ScratchName();
}
