# shellcheck shell=bash
# What the servers share: the set's folder, ports and secrets; starting, recognising and stopping processes.
# Sourced by eng/services, which sets: root (the checkout), here (its folder eng).
# shellcheck disable=SC2154 # root, here, and the secrets come from other files

say() { echo "services: $*" >&2; }
die() { say "$*"; exit 1; }

servers=(epmd rabbitmq postgres ceph-mon ceph-osd radosgw) # in the order of starting

# use_set NAME: fixes the set's folder and ports.
use_set() {
  name=$1
  [[ $name =~ ^[a-z][a-z0-9-]{0,31}$ ]] || die "a set's name is lower-case letters, digits and dashes, not '$name'"
  data=$root/.local/$name
  local base made=''
  [ ! -s "$data/base" ] || made=$(<"$data/base")
  case $name in
    run) base=17000 ;;
    run[2-9]) base=$((17000 + (${name#run} - 1) * 100)) ;;
    test) base=18000 ;;
    bench) base=19000 ;;
    fire) base=20000 ;;
    *) base='' ;;
  esac
  base=${made:-${PIPELINE_PORT_BASE:-$base}} # Ceph's monitor map holds its port, so a set stays where it was made
  [ -n "$base" ] || die "set '$name' has no ports of its own: give PIPELINE_PORT_BASE"
  if ! [[ $base =~ ^[0-9]{4,5}$ ]] || [ "$base" -lt 1024 ] || [ "$base" -gt 65436 ]; then
    die "PIPELINE_PORT_BASE must be a port from 1024 to 65436, not '$base'"
  fi
  declare -gA port=(
    [base]=$base [amqp]=$((base + 1)) [management]=$((base + 2)) [prometheus]=$((base + 3)) [distribution]=$((base + 4))
    [epmd]=$((base + 5)) [postgres]=$((base + 10)) [s3]=$((base + 20)) [mon]=$((base + 21)) [osd]=$((base + 22)) [publisher]=$((base + 80))
  )
}

# One up or down of a set at a time. Started servers must not inherit descriptor 9, or the lock would live as long as they.
lock_set() {
  umask 077
  mkdir -p "$data"
  exec 9>"$data.services.lock" # beside the folder, which "down --wipe" deletes
  flock -n 9 || { say "waiting for another eng/services on set '$name'"; flock 9; }
  mkdir -p "$data"/{pids,log}
}

# --- processes

# A pid file holds the process's pid, its start time and the machine's boot id, noted at the launch: a pid may be another's by
# now, and nothing else about a process stays the same from its first instruction on (its folder and program change while it
# starts).
owned_pid() {
  local pid started boot now
  read -r pid started boot 2>/dev/null <"$data/pids/$1" && [ -n "$pid" ] && now=$(start_time "$pid") || return 1
  if [ -n "$boot" ]; then
    [ "$started $boot" = "$now $(</proc/sys/kernel/random/boot_id)" ] || return 1
  elif [ "$1" = postgres ]; then # launched by an older version, which noted the pid alone: told by its folder
    (cd "$data/$1" && as_postgres test "/proc/$pid/cwd" -ef .) || return 1
  else
    [ "/proc/$pid/cwd" -ef "$data/$1" ] || return 1
  fi
  echo "$pid"
}
running() { owned_pid "$1" >/dev/null; }

# start_time PID: in clock ticks after the boot; false if there is no such process, or only its exit status is left of it.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) && [ -n "$stat" ] || return 1
  read -ra fields <<<"${stat##*) }" # the second field, the program's name, may hold blanks and brackets
  [[ ${fields[0]} != [ZX] ]] && echo "${fields[19]}" # the third is the state, the 22nd the start time
}

# launch SERVER COMMAND...: starts it in its folder and in a session of its own, so that Ctrl-C in a terminal spares it.
launch() {
  local server=$1 log=$data/log/$1.out
  shift
  [ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -lt 5000000 ] || mv "$log" "$log.1"
  (cd "$data/$server" && exec setsid "$@" 9>&- </dev/null >>"$log" 2>&1) &
  # exec keeps the start time. A process that has ended already has none, and counts as ended.
  echo "$! $(start_time $! || echo 0) $(</proc/sys/kernel/random/boot_id)" >"$data/pids/$server"
  disown # no word from the shell when it is killed
}

# stop_server SERVER [SIGNAL]: asks, waits up to 30 s, then kills.
stop_server() {
  local pid
  pid=$(owned_pid "$1") || { rm -f "$data/pids/$1"; return 0; }
  kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
  for _ in {1..300}; do
    running "$1" || break
    sleep 0.1
  done
  if pid=$(owned_pid "$1"); then
    say "$1 (pid $pid) did not stop in 30 s: killed"
    kill -s KILL "$pid" 2>/dev/null || true
  fi
  rm -f "$data/pids/$1"
}

# wait_for SERVER SECONDS COMMAND...: until the command succeeds; fails early when the server has ended.
wait_for() {
  local server=$1 end=$((SECONDS + $2))
  shift 2
  until "$@"; do
    running "$server" || { sleep 0.2; running "$server" || give_up "$server" "ended while starting"; }
    [ "$SECONDS" -lt "$end" ] || give_up "$server" "did not answer in time"
    sleep 0.1
  done
}
give_up() {
  say "$1 $2; the end of $data/log/$1.out:"
  tail -n 15 "$data/log/$1.out" >&2 || true
  exit 1
}

# --- ports

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The ports that each process listens on; an OSD takes four of eight by itself.
ports_of() {
  case $1 in
    rabbitmq) echo "${port[amqp]} ${port[management]} ${port[prometheus]} ${port[distribution]}" ;;
    ceph-mon) echo "${port[mon]}" ;;
    ceph-osd) ;;
    radosgw) echo "${port[s3]}" ;;
    *) echo "${port[$1]}" ;;
  esac
}

# claim_ports SERVER...: nobody else may be listening where a server that is not running wants to.
claim_ports() {
  local server p
  for server; do
    running "$server" || for p in $(ports_of "$server"); do
      ! listening "$p" || die "port $p, which $server of set '$name' needs, is taken by something else$(holder "$p"). Stop that, or use another block: PIPELINE_PORT_BASE=PORT"
    done
  done
}
holder() {
  command -v ss >/dev/null || return 0
  ss -Hltnp "sport = :$1" 2>/dev/null | sed -n 's/.*users:((\(.*\)))$/ (\1)/p' | head -n 1
}

# http PORT PATH [USER:PASSWORD]: true if the answer is 200. Bash alone, so that curl need not be installed.
http() {
  local answer='' auth=''
  [ -z "${3:-}" ] || auth="Authorization: Basic $(printf %s "$3" | base64 -w0)"$'\r\n'
  answer=$({
    exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n%s\r\n' "$2" "$auth" >&3 && timeout 5 cat <&3
  } 2>/dev/null | tr -d '\0') || true
  [[ $answer == HTTP/1.?\ 200* ]]
}

# --- secrets

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Made once for each set; hexadecimal, so that they need no quoting in a URL, a connection string or SQL. A set of an older
# version is given what it lacks.
load_secrets() {
  local each
  touch "$data/secrets"
  for each in admin workers publisher client postgres postgres_workers postgres_publisher s3_key s3_secret cookie; do
    grep -q "^secret_$each=" "$data/secrets" || echo "secret_$each=$(random 16)" >>"$data/secrets"
  done
  # shellcheck source=/dev/null
  . "$data/secrets"
}

# --- the whole set

up_all() {
  [ "${PIPELINE_PORT_BASE:-${port[base]}}" = "${port[base]}" ] ||
    die "set '$name' was made for ports from ${port[base]}: leave PIPELINE_PORT_BASE unset, or eng/services down $name --wipe"
  load_secrets
  if ! rabbitmq_ready || ! postgres_ready || ! ceph_ready; then
    install_missing missing_packages
    claim_ports "${servers[@]}"
    echo "${port[base]}" >"$data/base"
    local part pids=() failed=''
    for part in rabbitmq postgres ceph; do # each takes seconds, most of them waiting
      "${part}_ready" || { "${part}_up" & pids+=($!); }
    done
    for part in "${pids[@]}"; do wait "$part" || failed=1; done
    [ -z "$failed" ] || die "set '$name' is not up; eng/services status $name shows what is"
  fi
  [ "$name" != test ] || install_for_examples
  write_env
  say "set '$name' is up: RabbitMQ ${port[amqp]} (management http://127.0.0.1:${port[management]}), PostgreSQL ${port[postgres]}, S3 ${port[s3]}"
}

down_all() {
  local part
  for part in rabbitmq postgres ceph; do "${part}_down" & done
  wait
  rm -f "$data/started-by-run"
  say "set '$name' is down"
}

status_all() {
  [ ! -s "$data/secrets" ] || load_secrets
  local server pid state bad=0 where ready
  for server in "${servers[@]}"; do
    case $server in
      epmd) where=${port[epmd]} ready='' ;;
      rabbitmq) where=${port[amqp]} ready=rabbitmq_ready ;;
      postgres) where=${port[postgres]} ready=postgres_ready ;;
      ceph-mon) where=${port[mon]} ready='' ;;
      ceph-osd) where=${port[osd]} ready='' ;;
      radosgw) where=${port[s3]} ready=ceph_ready ;;
    esac
    pid=$(owned_pid "$server") || pid=-
    if [ "$pid" = - ]; then state=down; elif ${ready:-listening "$where"}; then state=up; else state='not answering'; fi
    [ "$state" = up ] || bad=1
    printf '%-9s pid %-8s port %-6s %s\n' "$server" "$pid" "$where" "$state"
  done
  return "$bad"
}

write_env() {
  local host=127.0.0.1
  {
    export_line ConnectionStrings__RabbitMq "amqp://workers:$secret_workers@$host:${port[amqp]}/pipeline"
    export_line ConnectionStrings__Postgres "Host=$host;Port=${port[postgres]};Database=pipeline;Username=pipeline_workers;Password=$secret_postgres_workers"
    export_line ConnectionStrings__Status "Host=$host;Port=${port[postgres]};Database=pipeline;Username=pipeline_publisher;Password=$secret_postgres_publisher"
    export_line Storage__ServiceUrl "http://$host:${port[s3]}"
    export_line Storage__Bucket pipeline-images
    export_line Storage__Region us-east-1
    export_line Storage__AccessKey "$secret_s3_key"
    export_line Storage__SecretKey "$secret_s3_secret"
    export_line Publisher__RabbitMq "amqp://publisher:$secret_publisher@$host:${port[amqp]}/pipeline"
    export_line Publisher__Url "http://$host:${port[publisher]}"
    export_line PIPELINE_BROKER "amqp://client:$secret_client@$host:${port[amqp]}/pipeline"
    export_line PIPELINE_API "http://$host:${port[publisher]}"
    export_line PIPELINE_MANAGEMENT "http://$host:${port[management]}"
    export_line Management__Url "http://$host:${port[management]}"
    export_line Management__Username admin
    export_line Management__Password "$secret_admin"
    export_line PIPELINE_PIDS_POSTGRES "$(owned_pid postgres)"
    export_line PIPELINE_PIDS_RABBITMQ "$(owned_pid rabbitmq)"
  } >"$data/env.new"
  mv "$data/env.new" "$data/env"
}
export_line() { printf "export %s='%s'\n" "$1" "$2"; }
