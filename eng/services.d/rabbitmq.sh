# shellcheck shell=bash
# shellcheck disable=SC2154 # secrets and paths are set in common.sh and install.sh
# RabbitMQ (Debian's 3.10) with an epmd of its own: a shared one would outlive the set and be seen by other nodes.

# Only an answer to the admin says that the users were loaded; listeners open after that.
rabbitmq_ready() {
  running rabbitmq && running epmd && listening "${port[amqp]}" &&
    http "${port[management]}" /api/vhosts/pipeline "admin:$secret_admin"
}

rabbitmq_up() {
  local folder=$data/rabbitmq
  running rabbitmq || {
    [ -e "$data/rabbitmq.ready" ] || rm -rf "$folder" # never finished a first start: begin anew
    mkdir -p "$folder" "$data/epmd"
    rabbitmq_configure
  }
  running epmd || {
    ERL_EPMD_ADDRESS=127.0.0.1 launch epmd epmd -port "${port[epmd]}"
    wait_for epmd 20 listening "${port[epmd]}"
  }
  running rabbitmq || launch rabbitmq env "${rabbitmq_environment[@]}" "$rabbitmq_bin/rabbitmq-server"
  wait_for rabbitmq 120 rabbitmq_ready
  touch "$data/rabbitmq.ready"
}

rabbitmq_down() { stop_server rabbitmq; stop_server epmd; } # 6 s, 5 of them the management plugin's statistics

# Paths are relative to the server's folder, so that spaces and long paths of a checkout do no harm.
rabbitmq_configure() {
  local folder=$data/rabbitmq definitions=$root/eng/docker/rabbitmq
  rabbitmq_environment=(
    HOME="$folder" # the Erlang cookie's place
    ERL_EPMD_PORT="${port[epmd]}" ERL_EPMD_ADDRESS=127.0.0.1
    RABBITMQ_NODENAME="pipeline-$name@localhost" RABBITMQ_DIST_PORT="${port[distribution]}"
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE=rabbitmq.conf RABBITMQ_ADVANCED_CONFIG_FILE=none
    RABBITMQ_ENABLED_PLUGINS_FILE=enabled_plugins RABBITMQ_MNESIA_BASE=mnesia RABBITMQ_MNESIA_DIR=mnesia/node
    RABBITMQ_LOG_BASE=../log RABBITMQ_LOGS=../log/rabbitmq.log RABBITMQ_GENERATED_CONFIG_DIR=generated
    ERL_CRASH_DUMP=../log/rabbitmq.dump
    RABBITMQ_ALLOW_INPUT=true # no wrapper: the pid that was started is the server's
    # The node's own port on loopback too. No busy waiting: the cores are shared with the database and the workers.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
  )
  [ -e "$folder/.erlang.cookie" ] || { echo "$secret_cookie" >"$folder/.erlang.cookie"; chmod 400 "$folder/.erlang.cookie"; }
  echo '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_consistent_hash_exchange,rabbitmq_shovel,rabbitmq_shovel_management].' >"$folder/enabled_plugins"
  cat >"$folder/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:${port[amqp]}
management.tcp.ip = 127.0.0.1
management.tcp.port = ${port[management]}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = ${port[prometheus]}
load_definitions = definitions.json
# 16 MiB, which RabbitMQ 4 has by default (3.10: 128): a lane's prefetched bodies must fit into a worker's memory.
max_message_size = 16777216
# Three sets may share a small machine; the defaults are 40 % of its memory and a log of 512 MB for quorum queues.
vm_memory_high_watermark.absolute = 2GB
raft.wal_max_size_bytes = 67108864
log.console = false
log.file.level = info
# Tests close connections through the management API, which knows of them only after this time (5,000 by default).
collect_statistics_interval = $([ "$name" = test ] && echo 1000 || echo 5000)
CONF
  # Users that come with the definitions replace the default "guest", which is then never made.
  {
    printf '{"vhosts":[{"name":"pipeline"}],"users":['
    rabbitmq_user admin "$secret_admin" '"administrator"' && printf ,
    # The tag lets the workers look for bindings that nobody may make, and the client use the management API, as
    # examples/bash does; their permissions hold there too.
    rabbitmq_user workers "$secret_workers" '"management"' && printf ,
    rabbitmq_user publisher "$secret_publisher" && printf ,
    rabbitmq_user client "$secret_client" '"management"'
    printf '],"permissions":%s,"policies":%s,"parameters":%s}\n' "$(<"$definitions/permissions.json")" \
      "$(<"$definitions/policies.json")" "$(<"$definitions/parameters.json")"
  } >"$folder/definitions.json"
}

# Its limits, if it has any, keep one login from taking the broker's file handles and memory from the others.
# RabbitMQ keeps base64(salt + sha256(salt + password)).
rabbitmq_user() {
  local salt hash
  salt=$(random 4)
  hash=$({ hex_to_bytes "$salt"; printf %s "$2"; } | sha256sum | cut -c1-64)
  printf '{"name":"%s","password_hash":"%s","hashing_algorithm":"rabbit_password_hashing_sha256","tags":[%s],"limits":%s}' \
    "$1" "$(hex_to_bytes "$salt$hash" | base64 -w0)" "${3:-}" "$(cat "$definitions/limits/$1.json" 2>/dev/null || echo '{}')"
}
# shellcheck disable=SC2059,SC2001 # the format is the data; sed's & has no like in this bash
hex_to_bytes() { printf "$(sed 's/../\\x&/g' <<<"$1")"; }
