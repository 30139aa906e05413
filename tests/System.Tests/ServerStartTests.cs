using Npgsql;
using Pipeline.SystemTests.Harness;
using Shouldly;
using Xunit;
using Xunit.Abstractions;

namespace Pipeline.SystemTests;

/// <summary>The functions of eng/services start a healthy server every time, however long the machine takes for it.</summary>
[Trait(Speed.Name, Speed.Slow)]
public sealed class ServerStartTests(ITestOutputHelper output)
{
    // A set of its own: PostgreSQL alone, 50 ports above the set of the tests.
    private const string Script = """
        set -euo pipefail
        root=$1 here=$1/eng
        for part in common install postgres; do . "$here/services.d/$part.sh"; done
        use_set "starts-$2"
        lock_set
        scratch=$(mktemp -d)
        others=()
        leave() {
          [ ${#others[@]} = 0 ] || kill "${others[@]}" 2>/dev/null || true
          postgres_down
          rm -rf "$data" "$data.services.lock" "$scratch"
        }
        trap leave EXIT
        never() { if "$@"; then echo "should not be: $*"; exit 1; fi; }
        load_secrets

        """;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    [Fact]
    public Task Server_is_recognised_before_it_has_come_to_its_folder() =>
        RunAsync(
            "slow",
            50,
            """
            postgres_up
            postgres_down
            # A cold disk: the program is loaded a second after the process was made.
            real=$postgres_bin postgres_bin=$scratch
            ln -s "$real"/* "$scratch"
            rm "$scratch/postgres"
            printf '#!/bin/bash\nsleep 1\nexec %s/postgres "$@"\n' "$real" >"$scratch/postgres"
            chmod -R a+rx "$scratch"
            postgres_up
            running postgres
            """
        );

    [Fact]
    public Task Set_starts_and_stops_again_and_again_beside_busy_processes() =>
        RunAsync(
            "busy",
            51,
            """
            for ((i = 0; i < $(nproc); i++)); do
              (exec 9>&- >/dev/null 2>&1; while :; do :; done) &
              others+=($!)
            done
            for _ in {1..5}; do
              postgres_up
              first=$(owned_pid postgres)
              postgres_up # Nothing to do.
              [ "$(owned_pid postgres)" = "$first" ]
              postgres_down
              never running postgres
              never start_time "$first"
            done
            """
        );

    [Fact]
    public Task Pid_that_is_another_processs_by_now_is_not_taken_for_the_server() =>
        RunAsync(
            "reused",
            52,
            """
            mkdir -p "$data/postgres"
            launch postgres sleep 600
            read -r pid started boot <"$data/pids/postgres"
            others+=("$pid")
            echo "$pid $((started + 1)) $boot" >"$data/pids/postgres"
            never running postgres
            stop_server postgres KILL
            start_time "$pid" # Spared.
            echo "$pid $started another-boot" >"$data/pids/postgres"
            never running postgres
            echo "$pid $started $boot" >"$data/pids/postgres"
            running postgres
            stop_server postgres
            never start_time "$pid"
            """
        );

    private async Task RunAsync(string name, int port, string steps)
    {
        var postgres = new NpgsqlConnectionStringBuilder(Scratch.Required("ConnectionStrings__Postgres")).Port;
        var run = await ForeignProgram.RunAsync(
            ["bash", "-c", Script + steps, "starts", Repository.Root, name],
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["PIPELINE_PORT_BASE"] = $"{postgres - 10 + port}",
            },
            Limit
        );
        output.WriteLine(run.Output);
        run.ExitCode.ShouldBe(0, run.Output);
    }
}
