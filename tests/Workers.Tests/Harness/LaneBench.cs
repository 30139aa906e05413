using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Pipeline.Contracts;
using Pipeline.Workers.Deleting;
using Pipeline.Workers.Images;
using Pipeline.Workers.Lanes;
using Pipeline.Workers.Saving;
using Pipeline.Workers.Storyboards;
using Pipeline.Workers.Tests.Persistence;
using Xunit;

namespace Pipeline.Workers.Tests.Harness;

/// <summary>The lane's writer with its real handlers on a database of the test class's own; a test says the order.</summary>
public sealed class LaneBench : IAsyncLifetime
{
    private readonly ScratchDatabase _database = new();
    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private Dictionary<Type, ILaneHandler> _handlers = [];
    private LaneWriter _writer = null!;

    internal ScratchDatabase Database => _database;

    public async Task InitializeAsync()
    {
        await _database.InitializeAsync();
        var retention = new RetentionOptions();
        ILaneHandler[] handlers =
        [
            new DefineScenesHandler(),
            new SaveImageHandler(retention),
            new ReplaceImageHandler(retention),
            new ConfirmObjectHandler(retention),
            new RetractObjectHandler(),
            new DeleteImageHandler(retention),
            new DeleteProjectHandler(retention),
            new RestoreImageHandler(),
            new RestoreProjectHandler(),
        ];
        _handlers = handlers.ToDictionary(x => x.CommandType);
        _writer = new LaneWriter(
            _database.Source,
            handlers,
            new LaneMetrics(_meters.GetRequiredService<IMeterFactory>()),
            TimeProvider.System
        );
    }

    public async Task DisposeAsync()
    {
        await _meters.DisposeAsync();
        await _database.DisposeAsync();
    }

    /// <summary>Applies one command.</summary>
    /// <returns>How it was decided.</returns>
    internal async Task<LaneReceipt> ApplyAsync<T>(T command)
        where T : class, ILaneCommand => (await ApplyAllAsync(Entry(command)))[0];

    /// <summary>Applies a batch in this order, in one transaction.</summary>
    internal async Task<LaneReceipt[]> ApplyAllAsync(params LaneEntry[] batch)
    {
        await _writer.CommitAsync(batch, default);
        return [.. batch.Select(x => x.Decision!)];
    }

    /// <summary>Fails one command for good, as a lane does that cannot apply it.</summary>
    internal Task FailAsync<T>(T command)
        where T : class, ILaneCommand => _writer.CommitFailureAsync(Entry(command), "a constraint", default);

    /// <param name="command">The command.</param>
    /// <param name="replays">How often a person has replayed it.</param>
    internal LaneEntry Entry<T>(T command, int replays = 0)
        where T : class, ILaneCommand =>
        LaneEntry.Of(command, command.CommandId, _handlers[typeof(T)].Refuse(command), replays, redeliveries: 0);

    /// <summary>Applies a command that failed and that a person has replayed.</summary>
    internal async Task<LaneReceipt> ReplayAsync<T>(T command)
        where T : class, ILaneCommand => (await ApplyAllAsync(Entry(command, replays: 1)))[0];

    /// <summary>Says that objects are in the store, as an import does when it has put them there.</summary>
    internal Task PlantAsync(params string[] keys) =>
        _database.ExecuteAsync(
            """
            insert into pipeline.catalog_objects (key, size, etag, content_type, last_modified, first_seen)
            select key, 1000, 'planted', 'image/png', now(), now() from unnest($1) as key on conflict do nothing
            """,
            (object)keys
        );

    internal async Task<string> AskAsync(string sql, params object[] parameters) =>
        (await _database.TextsAsync(sql, parameters)).Single();
}
