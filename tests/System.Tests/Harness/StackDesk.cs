using Pipeline.Wire;

namespace Pipeline.SystemTests.Harness;

/// <summary>Dead letters of the lanes, as tests make, count and handle them.</summary>
internal static class StackDesk
{
    /// <summary>A verb of <c>publisher dead-letters</c>, with its JSON.</summary>
    public static Task<VerbRun> DeskAsync(this Stack stack, params string[] args) =>
        VerbRun.RunAsync(stack, ["dead-letters", .. args, "--json"]);

    /// <summary>Letters in the error queues of all lanes.</summary>
    public static async Task<long> LaneLettersAsync(this Stack stack)
    {
        long count = 0;
        for (var lane = 0; lane < 8; lane++)
            count += await stack.MessagesAsync(WireNames.ErrorQueue(WireNames.LaneQueue(lane)));
        return count;
    }

    /// <summary>Makes or mends one of the <see cref="Causes"/>.</summary>
    public static async Task ExecuteAsync(this Stack stack, string sql)
    {
        await using var command = stack.Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
