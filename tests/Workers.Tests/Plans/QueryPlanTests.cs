using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Pipeline.Wire;
using Pipeline.Workers.Persistence;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.Workers.Tests.Plans;

/// <summary>
/// No statement costs more the more rows there are. Every statement of the product is planned: a new one is found by
/// itself, and one that cannot be planned fails the test.
/// </summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed partial class QueryPlanTests(PlannedDatabase database, ITestOutputHelper output)
    : IClassFixture<PlannedDatabase>
{
    // Fewer would mean that the walk through the code has lost its way.
    private const int StatementsAtLeast = 300;

    private static readonly Assembly[] Product =
    [
        typeof(WorkerHost).Assembly,
        Assembly.Load("Pipeline.Publisher"),
        typeof(WireNames).Assembly,
    ];

    // As large as the settings, the fleet or what people do by hand make them.
    private static readonly Dictionary<string, string> Small = new(StringComparer.Ordinal)
    {
        ["__EFMigrationsHistory"] = "one a migration",
        ["catalog_rebuild_parts"] = "of running rebuilds",
        ["catalog_rebuild_requests"] = "of rebuilds",
        ["catalog_rebuild_slots"] = "one a bucket",
        ["catalog_rebuilds"] = "a person or a timer begins one",
        ["catalog_tallies"] = "the catalogue's sweep adds them up",
        ["generation_leases"] = "as many as attempts that are being rendered",
        ["lane_suspects"] = "as many as redelivered commands that are being applied",
        ["lanes"] = "Lanes__Count",
        ["provider_gates"] = "one a provider",
        ["queues"] = "one a queue",
        ["reconciliations"] = "a person begins one",
        ["upload_sweeps"] = "one a kind",
        ["url_steps"] = "a few an hour, for 30 days",
        ["url_variants"] = "one a variant",
        ["webhook_bindings"] = "as subscriptions want them",
        ["webhook_subscriptions"] = "at most 1,000",
        ["workers"] = "one a process",
    };

    // A part of the statement, and why it may cost what it does.
    private static readonly Dictionary<string, string> Allowed = new(StringComparer.Ordinal)
    {
        ["from pipeline.outbox where routing_key"] =
            "asked once a minute while a project is erased; the relay empties the table all the time",
        ["from pipeline.outbox where exchange"] =
            "asked every half minute for an exchange that the broker refuses; the relay empties the table all the time",
        ["from pipeline.receipts r where r.command = $2 and r.at > s.marked_at"] =
            "asked once in ten minutes, by one process; stops at as many as imports waited",
        ["from pipeline.outbox where id <> all"] = "leaves out the few rows that the broker had no queue for",
        ["from status.url_health"] = "counts all images and URLs, for a page that people look at",
        ["from pipeline.reconciliation_findings f left join pipeline.receipts t"] =
            "counts the commands of one repair, the less often the more there are",
        ["update pipeline.webhook_deliveries set state = 'dead', due_at = null"] =
            "gives up the backlog of one subscription, once: at most Webhooks__BacklogLimit rows",
        ["from pipeline.held_objects h where h.key = k.key"] =
            "a dozen look-ups by an index for each key of a batch, of which the planner assumes ten",
        ["from pg_stat_activity"] = "the server's sessions, not rows",
    };

    [Fact]
    public async Task Every_statement_of_the_product_finds_its_rows_by_an_index()
    {
        await using var connection = await database.Source.OpenConnectionAsync();
        var types = await PlanTypes.ReadAsync(connection);
        var rules = await PlanRules.ReadAsync(database.Source, Small.Keys);
        var texts = await TextsAsync();
        var (planned, parts, faulty) = (
            new List<string>(),
            new List<(SqlText Text, string Error)>(),
            new List<(SqlText Text, string Fault)>()
        );
        var excused = new HashSet<string>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            foreach (var sql in PlanStatement.Normalize(text.Text))
            {
                try
                {
                    var plans = await PlanStatement.PlansAsync(connection, sql, types.Of(text.Site, sql));
                    var found = plans.SelectMany(rules.Faults).Distinct(StringComparer.Ordinal).ToArray();
                    planned.Add(text.Text);
                    if (found.Length == 0)
                        continue;
                    var reason = Allowed.Keys.Where(x => OneLine(sql).Contains(x, StringComparison.Ordinal)).ToArray();
                    excused.UnionWith(reason);
                    if (reason.Length == 0)
                        faulty.Add((text, $"{text.Site}: {string.Join("; ", found)}\n    {OneLine(sql)}"));
                }
                catch (PostgresException e)
                {
                    parts.Add((text, e.MessageText));
                }
            }
        }

        output.WriteLine($"{planned.Count} statements were planned, {excused.Count} of them are allowed more.");
        // A part of a statement is seen in the whole one.
        var faults = faulty
            .Concat(parts.Select(x => (x.Text, $"{x.Text.Site} is not planned: {x.Error}\n    {OneLine(x.Text.Text)}")))
            .Where(x => !planned.Any(whole => IsPart(x.Text.Text, whole)))
            .Select(x => x.Item2);
        string.Join('\n', faults).ShouldBeEmpty();
        excused.ShouldBe(Allowed.Keys, ignoreOrder: true);
        planned.Count.ShouldBeGreaterThan(StatementsAtLeast);
    }

    [Fact]
    public async Task Every_table_has_rows_or_is_small()
    {
        await using var command = database.Source.CreateCommand(
            "select relname from pg_class where relnamespace = 'pipeline'::regnamespace and relkind = 'r' and reltuples >= $1"
        );
        command.Parameters.AddWithValue((float)PlannedDatabase.Rows);
        await using var row = await command.ExecuteReaderAsync();
        var filled = new List<string>();
        while (await row.ReadAsync())
            filled.Add(row.GetString(0));

        filled.Concat(Small.Keys).ShouldBe(await database.TablesAsync(), StringComparer.Ordinal, ignoreOrder: true);
    }

    private async Task<List<SqlText>> TextsAsync()
    {
        using var host = WorkerHost.Build();
        var services = host.Services;
        var owners = new IEnumerable<object>[]
        {
            services.GetServices<RetentionRule>(),
            services.GetServices<ErasureRule>(),
            services.GetServices<ErasureWait>(),
            services.GetServices<ErasureObjects>(),
            services.GetServices<ErasureCount>(),
            services.GetServices<ErasureNames>(),
            Product.SelectMany(ProductSql.Statics),
        }.SelectMany(x => x);
        var linq = new LinqStatements(database.Source);
        var texts = Product.SelectMany(ProductSql.Texts).Concat(ProductSql.Held(owners)).Concat(linq.ByKey()).ToList();
        foreach (var assembly in Product)
        {
            // A saga is loaded by its key, as other entities are.
            var sites = ProductSql.WithQueries(assembly).Select(ProductSql.Name).Distinct(StringComparer.Ordinal);
            foreach (var site in sites.Where(x => !x.EndsWith("SagaTransaction`2.Load", StringComparison.Ordinal)))
            {
                var sent = (await linq.OfAsync(site, assembly)).ToArray();
                sent.ShouldNotBeEmpty($"{site} has a query, and sent nothing.");
                texts.AddRange(sent);
            }
        }

        return
        [
            .. texts
                .GroupBy(x => x.Text, StringComparer.Ordinal)
                .Select(x => new SqlText(
                    string.Join(", ", x.Select(y => y.Site).Distinct(StringComparer.Ordinal)),
                    x.Key
                )),
        ];
    }

    private static bool IsPart(string text, string whole) =>
        text.Length < whole.Length && whole.Contains(text, StringComparison.Ordinal);

    private static string OneLine(string sql) => Blanks().Replace(sql, " ").Trim();

    [GeneratedRegex(@"\s+", RegexOptions.None, 1000)]
    private static partial Regex Blanks();
}
