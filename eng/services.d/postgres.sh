# shellcheck shell=bash
# shellcheck disable=SC2154 # secrets and paths are set in common.sh and install.sh
# PostgreSQL 15. It refuses to run as root, so root runs it as Debian's user postgres. That user may have no way to a checkout
# below /root, so the data folder is handed over open, as descriptor 7, and named /proc/self/fd/7.

as_postgres() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; else "$@"; fi
}

# From / because these programs change to their own folder and back.
in_postgres() { (exec 7<"$data/postgres" && cd / && as_postgres "$@" 9>&-); }

postgres_ready() { running postgres && "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "${port[postgres]}"; }

postgres_up() {
  local folder=$data/postgres
  running postgres || {
    [ -e "$data/postgres.ready" ] || postgres_create # never finished a first start: begin anew
    # A postmaster.pid of a server that was killed names a pid that may be another's by now; owned_pid knows that ours is gone.
    rm -f "$folder/postmaster.pid"
    postgres_configure
    postgres_launch
  }
  wait_for postgres 120 postgres_ready
  [ -e "$data/postgres.ready" ] || { postgres_populate && touch "$data/postgres.ready"; }
}

postgres_down() { stop_server postgres INT; } # "fast": it ends the sessions; TERM would wait for the clients to leave

postgres_launch() {
  local command=(env --chdir=/ "$postgres_bin/postgres" -D /proc/self/fd/7)
  [ "$(id -u)" != 0 ] || command=(setpriv --reuid=postgres --regid=postgres --clear-groups -- "${command[@]}")
  exec 7<"$data/postgres"
  launch postgres "${command[@]}"
  exec 7<&-
}

postgres_create() {
  local folder=$data/postgres
  rm -rf "$folder"
  mkdir -m 700 "$folder"
  [ "$(id -u)" != 0 ] || chown postgres:postgres "$folder"
  # The password follows in single-user mode: initdb would want a file that its user can open.
  {
    in_postgres "$postgres_bin/initdb" -D /proc/self/fd/7 --username=postgres --encoding=UTF8 --locale=C.UTF-8 --auth=reject &&
      in_postgres "$postgres_bin/postgres" --single -D /proc/self/fd/7 postgres <<<"ALTER ROLE postgres PASSWORD '$secret_postgres'"
  } >>"$data/log/postgres.out" 2>&1 || give_up postgres "could not make its data folder"
}

postgres_configure() {
  local folder=$data/postgres
  printf 'host all all 127.0.0.1/32 scram-sha-256\n' >"$folder/pg_hba.conf"
  # fsync, full_page_writes and synchronous_commit stay on: a receipt that was committed survives a power cut. The set of
  # the tests goes without: they kill processes, which loses nothing that was written, and make a database each.
  cat >"$folder/postgresql.conf" <<CONF
cluster_name = 'pipeline-$name'
listen_addresses = '127.0.0.1'
port = ${port[postgres]}
unix_socket_directories = ''      # a socket's path ends at 107 characters; clients use the port
max_connections = 200
password_encryption = scram-sha-256
shared_buffers = 256MB            # three sets may share a small machine
effective_cache_size = 2GB
max_wal_size = 2GB                # fewer checkpoints under load
checkpoint_timeout = 15min
wal_compression = lz4
random_page_cost = 1.1            # SSD
jit = off                         # short statements: compiling costs more than it saves
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
log_autovacuum_min_duration = 10s
CONF
  case $name in
    test) printf 'fsync = off\nfull_page_writes = off\n' ;;
    bench) printf 'track_commit_timestamp = on\n' ;; # what latency is measured with
  esac >>"$folder/postgresql.conf"
}

# The publisher's role may connect and nothing else; the migrations grant it the views of schema status.
postgres_populate() {
  PGPASSWORD=$secret_postgres "$postgres_bin/psql" -qX -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "${port[postgres]}" -U postgres -d postgres \
    >>"$data/log/postgres.out" 2>&1 <<SQL || give_up postgres "could not be given its roles and database"
DROP DATABASE IF EXISTS pipeline;
DROP ROLE IF EXISTS pipeline_workers, pipeline_publisher;
CREATE ROLE pipeline_workers LOGIN PASSWORD '$secret_postgres_workers' $([ "$name" = run ] || echo CREATEDB); -- a database a test
CREATE ROLE pipeline_publisher LOGIN PASSWORD '$secret_postgres_publisher';
CREATE DATABASE pipeline OWNER pipeline_workers;
REVOKE ALL ON DATABASE pipeline, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE pipeline TO pipeline_publisher;
\connect pipeline
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
}
