using Npgsql;

namespace Pipeline.Workers.Urls;

/// <summary>How often each step has succeeded or failed, by the hour, in <c>pipeline.url_steps</c>.</summary>
internal static class UrlStepCounts
{
    /// <summary>What stands for a success where a reason is asked for.</summary>
    public const string Success = "";

    // In the order of the key, so that two workers that count the same steps wait for each other and do not deadlock.
    private const string AddSql = """
        insert into pipeline.url_steps as c (hour, step, reason, count)
        select date_trunc('hour', $1::timestamptz), r.step, r.reason, r.count from unnest($2, $3, $4) as r (step, reason, count)
        order by r.step, r.reason
        on conflict (hour, step, reason) do update set count = c.count + excluded.count
        """;

    /// <summary>Every step that was asked, with <see cref="Success"/> or the code of its failure.</summary>
    public static IEnumerable<(string Step, string Reason)> Of(UrlResult result) =>
        result.Chains.Values.SelectMany(x =>
            x.Failed.Select(y => (y.Step, Reason: y.Code))
                .Concat(
                    x is { IsSigned: true, Url: { } url } && x.Failed.All(y => y.Step != url.Strategy)
                        ? [(url.Strategy, Success)]
                        : []
                )
        );

    public static async Task AddAsync(
        NpgsqlConnection connection,
        NpgsqlTransaction transaction,
        IEnumerable<UrlResult> results,
        DateTimeOffset at,
        CancellationToken cancellation
    )
    {
        var counts = results
            .Where(x => x.Outcome != UrlOutcome.GivenBack)
            .SelectMany(Of)
            .GroupBy(x => x)
            .Select(x => (x.Key.Step, x.Key.Reason, Count: x.LongCount()))
            .ToList();
        if (counts.Count == 0)
            return;

        await using var command = new NpgsqlCommand(AddSql, connection, transaction);
        command.Parameters.AddWithValue(at);
        command.Parameters.AddWithValue(counts.Select(x => x.Step).ToArray());
        command.Parameters.AddWithValue(counts.Select(x => x.Reason).ToArray());
        command.Parameters.AddWithValue(counts.Select(x => x.Count).ToArray());
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
