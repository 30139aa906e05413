using Pipeline.Contracts.Generation;

namespace Pipeline.SystemTests.Harness;

/// <summary>A pipeline with a provider that follows a script, whose generations' states are written down.</summary>
public class GenerationStack : Stack
{
    internal ScriptedProvider Provider { get; private set; } = null!;

    public override async Task InitializeAsync()
    {
        Provider = await ScriptedProvider.StartAsync();
        await base.InitializeAsync();
        await this.KeepHistoryAsync();
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await Provider.DisposeAsync();
    }

    /// <summary>A request for a small picture of a project of its own.</summary>
    internal static GenerateImage Request(string model, string prompt) =>
        Commands.Generate(model, prompt) with
        {
            SceneId = null,
        };

    /// <summary>The same picture, for another project.</summary>
    internal static GenerateImage Another(GenerateImage request) =>
        request with
        {
            CommandId = Guid.NewGuid(),
            ProjectId = Guid.NewGuid(),
            ImageId = Guid.NewGuid(),
        };

    internal async Task AskAsync(params IEnumerable<GenerateImage> requests)
    {
        await using var publisher = NewPublisher();
        await publisher.PublishAllAsync(requests.Select(Commands.ToWire), CancellationToken.None);
    }

    /// <summary>Waits until each has its receipt.</summary>
    internal Task UntilEndedAsync(params IEnumerable<GenerateImage> requests)
    {
        var commands = requests.Select(x => x.CommandId).ToArray();
        return UntilAsync(
            $"{commands.Length} requests have their receipts",
            async () =>
                await ScalarAsync<long>("select count(*) from status.receipts where command_id = any($1)", commands)
                == commands.Length
        );
    }

    internal Task<string> OutcomeAsync(GenerateImage request) =>
        ScalarAsync<string>("select outcome from status.receipts where command_id = $1", request.CommandId);

    /// <summary>Widths of the pictures that are shown; by it a script's pictures are told apart.</summary>
    internal Task<List<int>> WidthsAsync() =>
        RowsAsync("select width from status.images where state = 'shown'", x => x.GetInt32(0));

    internal async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await command.ExecuteNonQueryAsync();
    }
}
