using Npgsql;
using Pipeline.Wire;
using Xunit;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// A pipeline of a test's own on the real servers: a virtual host and a database made for it, and worker processes that
/// the test may kill. The servers are those that <c>eng/services env test</c> names; without them tests fail.
/// </summary>
public class Stack : IAsyncLifetime
{
    private readonly List<WorkerProcess> _workers = [];
    private readonly List<HostedWorker> _hosted = [];
    private readonly List<string> _users = [];
    private readonly BrokerManagement _management = new();
    private PreparedPipeline? _own;

    public Uri Broker { get; private set; } = null!;

    public NpgsqlDataSource Database { get; private set; } = null!;

    public IReadOnlyDictionary<string, string> Settings { get; private set; } = null!;

    /// <summary>The publisher's own roles on the same servers, and the workers' bucket.</summary>
    public virtual IReadOnlyDictionary<string, string> PublisherSettings =>
        new Dictionary<string, string>(
            Settings.Where(x => x.Key.StartsWith("Storage__", StringComparison.Ordinal)),
            StringComparer.Ordinal
        )
        {
            ["Publisher__RabbitMq"] = new UriBuilder(Required("Publisher__RabbitMq"))
            {
                Path = VirtualHost,
            }.Uri.ToString(),
            ["ConnectionStrings__Status"] = DatabaseServer.ConnectionString(
                new NpgsqlConnectionStringBuilder(Settings["ConnectionStrings__Postgres"]).Database!,
                "ConnectionStrings__Status"
            ),
        };

    private string VirtualHost => _own?.VirtualHost ?? throw new InvalidOperationException("Not initialised.");

    /// <summary>Extra settings of the workers, before the first one starts.</summary>
    protected virtual IEnumerable<(string Name, string Value)> WorkerSettings => [];

    /// <summary>The broker with the workers' login; one that may do anything, unless a test is about logins.</summary>
    protected virtual Task<Uri> WorkersLoginAsync() => Task.FromResult(Broker);

    /// <summary>
    /// False for a test that is about making the schema and the topology: its pipeline is made by <c>migrate</c>, with
    /// the settings and the login of its workers. Others get a copy of what <c>migrate</c> has made.
    /// </summary>
    protected virtual bool IsCopied => true;

    public static string Required(string variable) => Scratch.Required(variable);

    public virtual async Task InitializeAsync()
    {
        _own = IsCopied ? await PreparedPipelines.TakeAsync() : await PreparedPipelines.MakeEmptyAsync();
        Broker = PreparedPipelines.BrokerOf(VirtualHost);
        Database = NpgsqlDataSource.Create(DatabaseServer.ConnectionString(_own.Database, poolSize: 8));
        Settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["ConnectionStrings__RabbitMq"] = (await WorkersLoginAsync()).ToString(),
            ["ConnectionStrings__Postgres"] = DatabaseServer.ConnectionString(_own.Database),
        }
            .Concat(WorkerSettings.Select(x => KeyValuePair.Create(x.Name, x.Value)))
            .ToDictionary(StringComparer.Ordinal);
        if (!IsCopied)
            await WorkerProcess.MigrateAsync(Settings);
        else if (Settings.TryGetValue("Storage__Bucket", out var bucket))
            await ScratchBucket.MakeAsync(bucket);
    }

    public virtual async Task DisposeAsync()
    {
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        await Task.WhenAll(_hosted.Select(x => x.DisposeAsync().AsTask()));
        if (_own is null)
            return; // It was never made, and the test has said why.
        await Database.DisposeAsync();
        _management.Dispose();
        await PreparedPipelines.RemoveLaterAsync(_own, IsCopied, _users);
    }

    /// <summary>Starts a worker as a process of its own, which a test may kill and pause, and whose end it may see.</summary>
    /// <param name="name">What the status views call it.</param>
    /// <param name="others">Settings of this worker alone.</param>
    public WorkerProcess StartWorker(string name, params (string Name, string Value)[] others)
    {
        var worker = WorkerProcess.Start(name, With(others));
        _workers.Add(worker);
        return worker;
    }

    /// <summary>Starts a worker to which the test does nothing, within the test process.</summary>
    /// <inheritdoc cref="StartWorker"/>
    public void HostWorker(string name, params (string Name, string Value)[] others) =>
        _hosted.Add(HostedWorker.Start(name, With(others)));

    public ConfirmedPublisher NewPublisher() => new(Broker, "system tests");

    /// <inheritdoc cref="BrokerManagement.NamesAsync"/>
    public Task<List<string>> NamesAsync(string kind) => _management.NamesAsync(VirtualHost, kind);

    /// <summary>A RabbitMQ user with the permissions of one that installations have, for this pipeline alone.</summary>
    /// <param name="role"><c>workers</c>, <c>publisher</c> or <c>client</c>.</param>
    /// <param name="tags">Such as <c>management</c>; comma-separated.</param>
    /// <returns>The broker with that user's login.</returns>
    public async Task<Uri> CreateUserAsync(string role, string tags = "")
    {
        var (user, password) = ($"{VirtualHost}-{role}-{_users.Count}", Guid.NewGuid().ToString("N"));
        _users.Add(user);
        await _management.SendAsync(HttpMethod.Put, $"/api/users/{user}", new { password, tags });
        await _management.GrantAsync(VirtualHost, user, BrokerUser.Of(role));
        return new UriBuilder(Broker) { UserName = user, Password = password }.Uri;
    }

    /// <summary>
    /// Lets whoever logs in without a name publish to one exchange of this pipeline, and have the queue for answers
    /// that Ceph's gateway makes.
    /// </summary>
    /// <returns>The broker without a login.</returns>
    public async Task<Uri> AllowGuestAsync(string exchange)
    {
        await _management.SendAsync(HttpMethod.Put, "/api/users/guest", new { password = "guest", tags = "" });
        const string Answers = @"amq\.gen-.*";
        var may = new BrokerUser("guest", $"^{Answers}$", $"^({exchange}|{Answers})$", $"^{Answers}$");
        await _management.GrantAsync(VirtualHost, "guest", may);
        return new UriBuilder(Broker) { UserName = "", Password = "" }.Uri;
    }

    /// <summary>Closes every connection of this pipeline from the broker's side.</summary>
    /// <returns>How many there were.</returns>
    public async Task<int> CloseConnectionsAsync()
    {
        var json = await _management.GetAsync($"/api/vhosts/{VirtualHost}/connections");
        using var connections = System.Text.Json.JsonDocument.Parse(json);
        var names = connections.RootElement.EnumerateArray().Select(x => x.GetProperty("name").GetString()!).ToArray();
        foreach (var name in names)
            await _management.CloseConnectionAsync(name);
        return names.Length;
    }

    /// <summary>One value; the database is the judge of every test here.</summary>
    public async Task<T> ScalarAsync<T>(string sql, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task<List<T>> RowsAsync<T>(string sql, Func<NpgsqlDataReader, T> read, params object[] parameters)
    {
        await using var command = Database.CreateCommand(sql);
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<T>();
        while (await reader.ReadAsync())
            rows.Add(read(reader));
        return rows;
    }

    /// <summary>Waits until a fact holds; the limit is a bound for a slow machine, and what was seen is told.</summary>
    public async Task UntilAsync(string fact, Func<Task<bool>> holds, TimeSpan? limit = null)
    {
        var deadline = DateTimeOffset.UtcNow + (limit ?? TimeSpan.FromSeconds(240));
        while (!await holds())
        {
            if (DateTimeOffset.UtcNow > deadline)
            {
                var report = await StackReport.WriteAsync(_management, VirtualHost, Database);
                throw new TimeoutException($"Not seen in time: {fact}\n{report}\n{string.Join('\n', Tails())}");
            }

            await Task.Delay(50);
        }
    }

    /// <summary>Waits until every one of the commands has its receipt.</summary>
    public Task UntilReceiptsAsync(long count, TimeSpan? limit = null) =>
        UntilAsync(
            $"{count} receipts",
            async () => await ScalarAsync<long>("select count(*) from pipeline.receipts") >= count,
            limit
        );

    /// <summary>Says that these objects are in the store, as an import does when it has put them there.</summary>
    public async Task PlantObjectsAsync(IReadOnlyCollection<string> keys)
    {
        const string Sql = """
            insert into pipeline.catalog_objects (key, size, etag, content_type, last_modified, first_seen)
            select key, 1000, 'planted', 'image/png', now(), now() from unnest($1) as key on conflict do nothing
            """;
        await using var command = Database.CreateCommand(Sql);
        command.Parameters.AddWithValue(keys.ToArray());
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Messages in a queue, ready and unanswered, as the broker counts them when asked.</summary>
    public async Task<uint> MessagesAsync(string queue)
    {
        var factory = new RabbitMQ.Client.ConnectionFactory { Uri = Broker };
        await using var connection = await factory.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        return (await channel.QueueDeclarePassiveAsync(queue)).MessageCount;
    }

    private Dictionary<string, string> With((string Name, string Value)[] others)
    {
        var settings = new Dictionary<string, string>(Settings, StringComparer.Ordinal);
        foreach (var (setting, value) in others)
            settings[setting] = value;
        return settings;
    }

    private IEnumerable<string> Tails() => _workers.Select(x => x.Tail).Concat(_hosted.Select(x => x.Tail));
}

/// <summary>A pipeline that is made as an operator makes one.</summary>
public sealed class MigratedStack : Stack
{
    protected override bool IsCopied => false;
}
