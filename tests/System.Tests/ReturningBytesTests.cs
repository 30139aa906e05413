using Pipeline.Contracts.Importing;
using Pipeline.SystemTests.Harness;
using Pipeline.Wire;
using Pipeline.Workers.Tests.Formats;
using Shouldly;
using Xunit;

namespace Pipeline.SystemTests;

/// <summary>A picture that gets A, B, then A again, while each A is being purged.</summary>
public sealed class ReturningBytesTests : DeletionStack
{
    [Fact]
    public async Task Bytes_that_come_back_again_and_again_are_always_there()
    {
        HostWorker("worker-1");
        HostWorker("worker-2");
        var (project, image) = await ShownAsync("first");
        byte[][] pictures = [TinyFiles.Png(3, 2), TinyFiles.Png(4, 2)];

        for (var i = 0; i < 8; i++)
        {
            var upload = $"uploads/{Guid.NewGuid():D}";
            await Bucket.PutAsync(upload, pictures[i % 2]);
            var import = new ImportImage(Guid.NewGuid(), project, image, null, null, 0, null, upload, Replace: true);
            await SendAsync(WireMessage.Command(import, import.CommandId, project));
            await UntilAsync("the replacement", async () => await FollowUpAsync(import.CommandId) != "none");
            (await FollowUpAsync(import.CommandId)).ShouldBe("applied", $"replacement {i}");
            // Now and then the purge of the earlier bytes is over before they come back, and now and then it is not.
            if (i % 3 == 0)
                await ShouldBeCleanAsync();
        }

        await ShouldBeCleanAsync();
        (await StateAsync(image)).ShouldBe("shown");
        (await ScalarAsync<int>("select version from status.images where id = $1", image)).ShouldBe(9);
    }
}
