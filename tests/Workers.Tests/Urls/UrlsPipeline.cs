using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Pipeline.Contracts.Urls;
using Pipeline.Workers.Commands;
using Pipeline.Workers.Tests.Harness;
using Pipeline.Workers.Urls;

namespace Pipeline.Workers.Tests.Urls;

/// <summary>The slice on the real servers, with a stand-in for Supabase's API in the chain of <c>thumbnail</c>.</summary>
public class UrlsPipeline : SlicePipeline
{
    internal SupabaseStub Supabase { get; private set; } = null!;

    internal UrlSigner Signer => Worker.Services.GetRequiredService<UrlSigner>();

    /// <summary>A minute: what these tests see, the sweep has not done.</summary>
    private protected virtual string SweepEvery => "00:01:00";

    private protected virtual string ThumbnailChain => "supabase";

    public override async Task InitializeAsync()
    {
        Supabase = await SupabaseStub.StartAsync();
        await base.InitializeAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await Supabase.DisposeAsync();
    }

    /// <summary>A second worker on the same servers; not started.</summary>
    internal IHost OtherWorker() => BuildHost();

    internal ValueTask SendAsync(RefreshUrls command) => SendAsync(command, command.CommandId);

    /// <summary>Carries out a command that has come before, without its consumer's first look at its receipt.</summary>
    internal Task RefreshAsync(RefreshUrls command) =>
        Worker
            .Services.GetRequiredService<ImageRefresh>()
            .RefreshAsync(
                Worker.Services.GetRequiredService<CommandRunner>(),
                new RefreshRequest(command, CommandRequest.Of(command, replays: 0, sender: null)),
                CancellationToken.None
            );

    /// <summary>Sends a command and waits for its receipt.</summary>
    internal async Task<string> EndAsync(RefreshUrls command)
    {
        await SendAsync(command);
        return await ReceiptAsync(command.CommandId);
    }

    internal Task<string> ReceiptAsync(Guid commandId) =>
        WaitForAsync("select outcome from pipeline.receipts where command_id = $1", commandId);

    internal static RefreshUrls Refresh(Guid image, bool force = false) =>
        new(Guid.NewGuid(), ProjectId: null, image, ImageVersion: null, force);

    /// <summary>A shown picture, as the lane leaves it.</summary>
    internal async Task<Guid> ShowAsync(Guid? project = null)
    {
        var (image, owner) = (Guid.NewGuid(), project ?? Guid.NewGuid());
        await ExecuteAsync("insert into pipeline.projects values ($1, 1, now(), now()) on conflict do nothing", owner);
        await ExecuteAsync(
            """
            insert into pipeline.images
                (id, project_id, slot, version, object_key, sha256, content_type, byte_length, width, height,
                 object_seen, placed, project_version, saved_at, updated_at)
            values ($1, $2, 0, 1, $3, repeat('a', 64), 'image/png', 1, 1, 1, true, true, 1, now(), now())
            """,
            image,
            owner,
            $"projects/{owner}/{image}/{new string('a', 64)}.png"
        );
        return image;
    }

    /// <summary>Moves a picture's URLs through time: so much of their life is left, and the window opens then.</summary>
    internal async Task AgeAsync(Guid image, TimeSpan left, TimeSpan windowIn)
    {
        await ExecuteAsync(
            """
            update pipeline.image_urls
            set signed_at = least(signed_at, now() + $2) - interval '1 hour', expires_at = now() + $2, refresh_after = now() + $3
            where image_id = $1
            """,
            image,
            left,
            windowIn
        );
        await ExecuteAsync("update pipeline.url_signings set due_at = now() + $2 where image_id = $1", image, windowIn);
    }

    internal async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>All that is stored of a picture's URLs, as text.</summary>
    internal Task<string?> CachedAsync(Guid image) =>
        AskAsync(
            """
            select string_agg(concat_ws(' ', variant, version, url, strategy, degraded, signed_at, expires_at), '; ' order by variant)
            from pipeline.image_urls where image_id = $1
            """,
            image
        );

    internal Task<string> UntilCachedAsync(Guid image) =>
        WaitForAsync("select min(signed_at) from status.image_urls where image_id = $1 having count(*) = 2", image);

    internal async Task<long> EventsAsync(string exchange, Guid image) =>
        long.Parse(
            (
                await AskAsync(
                    """
                    select count(*) from pipeline.outbox
                    where exchange = $1 and convert_from(body, 'UTF8')::json ->> 'imageId' = $2
                    """,
                    exchange,
                    image.ToString()
                )
            )!
        );

    private protected override IEnumerable<KeyValuePair<string, string?>> Settings() =>
        [
            new("Urls:SweepEvery", SweepEvery),
            new("Urls:Lifetime", "01:00:00"),
            new("Urls:RefreshAhead", "00:20:00"),
            new("Urls:ClaimLength", "00:00:15"),
            new("Urls:CallTimeout", "00:00:05"),
            new("Urls:BackoffFirst", "00:00:00.200"),
            new("Urls:RestLength", "00:00:00.500"),
            new("Urls:Supabase:Url", Supabase.Url.ToString()),
            new("Urls:Supabase:Key", "service-key"),
            new("Urls:Variants:thumbnail:Chain", ThumbnailChain),
            new("Urls:Variants:thumbnail:Width", "400"),
            new("Urls:Variants:thumbnail:Format", "webp"),
        ];

    private protected override void AddSlice(IBusRegistrationConfigurator bus, IConfiguration configuration) =>
        bus.AddUrls(configuration);
}
