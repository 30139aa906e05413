using Npgsql;
using Pipeline.Contracts.Generation;
using static Pipeline.SystemTests.Harness.ScriptedProvider;

namespace Pipeline.SystemTests.Harness;

/// <summary>
/// A pipeline whose transactions a test can hold just before their commit: a trigger of the test's own waits there for
/// a lock that the test has.
/// </summary>
public sealed class GenerationBoundaryStack : GenerationStack
{
    private const long Lock = 4711;
    private const long RelayLock = 4712;

    private const string HoldSql = """
        create table public.held (prompt text, state text, attempt int);
        create function public.hold_generation() returns trigger language plpgsql as $$
        begin
            if exists (select from public.held h
                       where (h.prompt, h.state, h.attempt) = (new.prompt, new.current_state, new.attempt)) then
                perform pg_advisory_xact_lock_shared(4711);
            end if;
            return null;
        end $$;
        create trigger hold_generation after insert or update on pipeline.generation_requests
            for each row execute function public.hold_generation();
        create function public.hold_attempt() returns trigger language plpgsql as $$
        begin
            if exists (select from public.held h
                       join pipeline.generation_requests g on g.prompt = h.prompt
                       where g.correlation_id = new.generation_id
                           and (h.state, h.attempt) = (new.outcome, new.attempt)) then
                perform pg_advisory_xact_lock_shared(4711);
            end if;
            return null;
        end $$;
        create trigger hold_attempt after insert on pipeline.generation_attempts
            for each row execute function public.hold_attempt();
        create function public.hold_relay() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock_shared(4712);
            return null;
        end $$;
        create trigger hold_relay before delete on pipeline.outbox
            for each statement execute function public.hold_relay();
        """;

    private NpgsqlConnection? _holder;

    // Slots for those that are held, and as many for the rest.
    protected override IEnumerable<(string Name, string Value)> WorkerSettings =>
        [
            .. Scripts().SelectMany(x => Provider.SettingsOf(x.Model)),
            ("Rendering__LeaseLength", "00:00:04"),
            ("Rendering__ConcurrentRenders", "16"),
            ("Rendering__OutageThreshold", "1000"),
            ("Generation__BackoffFirst", "00:00:00.050"),
            ("Generation__SweepEvery", "00:00:00.100"),
            ("Lanes__LeaseLength", "00:00:03"),
        ];

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        await ExecuteAsync(HoldSql);
    }

    public override async Task DisposeAsync()
    {
        if (_holder is not null)
            await _holder.DisposeAsync();
        await base.DisposeAsync();
    }

    /// <summary>From here on, whoever brings a generation to a state, or an attempt to its end, waits before the commit.</summary>
    internal async Task HoldAsync(IEnumerable<(string Prompt, string State, int Attempt)> held)
    {
        foreach (var (prompt, state, attempt) in held)
            await ExecuteAsync("insert into public.held values ($1, $2, $3)", prompt, state, attempt);
        _holder ??= await Database.OpenConnectionAsync();
        await HolderAsync("select pg_advisory_lock($1)", Lock);
    }

    /// <summary>Those who wait go on, and nobody waits any more.</summary>
    internal async Task LetGoAsync()
    {
        await ExecuteAsync("delete from public.held");
        await HolderAsync("select pg_advisory_unlock($1)", Lock);
    }

    /// <summary>
    /// Holds the relay between two batches, so that it sends what is committed meanwhile all at once. It has to have
    /// sent something before: a message to nobody.
    /// </summary>
    internal async Task HoldRelayAsync()
    {
        await HolderAsync("select pg_advisory_lock($1)", RelayLock);
        await ExecuteAsync(
            """
            insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory)
            values ('amq.fanout', '', gen_random_uuid(), '', false)
            """
        );
        await UntilAsync("the relay waits", async () => await WaitingAsync(RelayLock) == 1);
    }

    internal Task LetRelayGoAsync() => HolderAsync("select pg_advisory_unlock($1)", RelayLock);

    /// <summary>How many transactions wait before their commit.</summary>
    internal Task<long> WaitingAsync() => WaitingAsync(Lock);

    private Task<long> WaitingAsync(long key) =>
        ScalarAsync<long>(
            """
            select count(*) from pg_locks
            where locktype = 'advisory' and not granted and objid = $1::oid
                and database = (select oid from pg_database where datname = current_database())
            """,
            key
        );

    internal async Task<bool> HasCrossedAsync(string prompt, string state, int attempt) =>
        await ScalarAsync<long>(
            """
            select (select count(*) from public.history where prompt = $1 and state = concat($2::text, ' ', $3::int))
                + (select count(*) from pipeline.generation_attempts a
                   join pipeline.generation_requests g on g.correlation_id = a.generation_id
                   where g.prompt = $1 and a.outcome = $2 and a.attempt = $3)
            """,
            prompt,
            state,
            attempt
        ) > 0;

    /// <summary>Messages of generations that are committed and not known to be sent.</summary>
    internal Task<List<string>> OutboxAsync() =>
        RowsAsync(
            "select exchange from pipeline.outbox where exchange = any($1) order by exchange collate \"C\"",
            x => x.GetString(0),
            (object)BoundaryListener.Exchanges
        );

    /// <summary>The scripts from their beginning, for requests of another prompt.</summary>
    internal void ScriptAnew()
    {
        foreach (var (model, steps) in Scripts())
        {
            // They go by the number of the call, of all that the model has had.
            var earlier = Enumerable.Repeat(Picture(), Provider.CallsOf(model).Length);
            Provider.Script(model, [.. earlier, .. steps]);
        }
    }

    internal Task<long> PicturesAsync(GenerateImage request) =>
        ScalarAsync<long>(
            "select count(*) from status.images where project_id = $1 and state = 'shown'",
            request.ProjectId
        );

    private static IEnumerable<(string Model, ProviderStep[] Steps)> Scripts() =>
        [
            ("asked", [Picture()]),
            ("rendered", [Picture()]),
            ("failed", [Error(500), Picture()]),
            ("due", [Error(500), Picture()]),
            ("settled", [Picture()]),
            ("moderated", [Error(400, "moderation_blocked")]),
            ("recorded", [Picture()]),
        ];

    private async Task HolderAsync(string sql, long key)
    {
        await using var command = new NpgsqlCommand(sql, _holder);
        command.Parameters.AddWithValue(key);
        await command.ExecuteNonQueryAsync();
    }
}
