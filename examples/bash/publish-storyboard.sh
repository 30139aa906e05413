#!/usr/bin/env bash
# Has the pictures of a storyboard generated, follows them to their end and reads the receipts; over RabbitMQ's management
# HTTP API, with curl and jq.
#
# usage: publish-storyboard.sh [STORYBOARD.json]
#
# For diagnosis and glue, not for a service: this API does not confirm. Its "routed" says that the message reached a queue, not
# that it is on disk, and each call opens a connection of its own. What proves a command is its receipt: without one, send the
# command again under the same id. Over AMQP (see the other examples) the broker's confirm says it at once.
#
# Needs three settings. The user needs RabbitMQ's tag "management" besides its permissions.
#   PIPELINE_BROKER      amqp://user:password@host:port/pipeline, for the login and the virtual host
#   PIPELINE_MANAGEMENT  the management API, such as http://127.0.0.1:17002
#   PIPELINE_API         the publisher's HTTP API, such as http://127.0.0.1:17080
# The exit status is 0 only when every picture is saved.
set -euo pipefail

silence_limit=120 # seconds without any event: the pipeline is down, or has nothing for us
fail() { echo "error: $*" >&2; exit 1; }
for needed in curl jq; do command -v "$needed" >/dev/null || fail "$needed is not installed"; done
for setting in PIPELINE_BROKER PIPELINE_MANAGEMENT PIPELINE_API; do [ -n "${!setting:-}" ] || fail "$setting is not set"; done

storyboard=${1:-samples/storyboard.json}
[ -r "$storyboard" ] || fail "$storyboard cannot be read"
[[ $PIPELINE_BROKER =~ ^amqps?://([^@]+)@[^/]+/([^/?]+) ]] || fail "PIPELINE_BROKER is no amqp://user:password@host:port/vhost"
login=${BASH_REMATCH[1]} vhost=${BASH_REMATCH[2]}
project=$(</proc/sys/kernel/random/uuid)
queue=client-bash-$project

# rabbit METHOD PATH [JSON]: prints the answer. The login goes through a file descriptor, so that no process list shows it.
rabbit() {
  curl -sS --fail-with-body --max-time 30 -K <(echo "user = \"$login\"") -X "$1" -H 'content-type: application/json' \
    ${3:+--data-binary "$3"} "$PIPELINE_MANAGEMENT/api/$2" || fail "the broker refused $1 $2"
}

# publish NAME JSON: sets id to the command's id. One call ends before the next begins, which keeps their order.
publish() {
  id=$(</proc/sys/kernel/random/uuid)
  local message routed
  message=$(jq -n --arg name "$1" --arg id "$id" --arg project "$project" --argjson command "$2" '{
    routing_key: $project, payload_encoding: "string",
    payload: ($command + {commandId: $id, projectId: $project} | tojson),
    properties: {type: $name, message_id: $id, content_type: "application/json", delivery_mode: 2}}')
  routed=$(rabbit POST "exchanges/$vhost/$1/publish" "$message" | jq -r .routed)
  [ "$routed" = true ] || fail "$1 reaches no queue"
}

# wait_for NAME ID: sets event to the event of this name that answers this command.
wait_for() {
  local last=$SECONDS taken type
  while :; do
    [ $((SECONDS - last)) -lt $silence_limit ] || fail "no event for $silence_limit s"
    # This API can only take a message and acknowledge it at once: one that is taken when this script dies is gone.
    taken=$(rabbit POST "queues/$vhost/$queue/get" '{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}')
    [ "$taken" != "[]" ] || { sleep 0.2; continue; }
    last=$SECONDS
    type=$(jq -r '.[0].properties.type' <<<"$taken")
    event=$(jq -c '.[0].payload | fromjson' <<<"$taken")
    case $type in
      image-generated) jq -r '"  picture \(.imageId) is saved"' <<<"$event" ;;
      generation-ended) jq -r '"  no picture for \(.commandId): \(.outcome), \(.reason)"' <<<"$event" ;;
    esac
    [ "$(jq -r .commandId <<<"$event")" = "$2" ] || continue
    case $type in
      command-rejected | command-failed) fail "$(jq -r --arg type "$type" '"\(.command) \($type): \(.reason)"' <<<"$event")" ;;
      "$1") return ;;
    esac
  done
}

echo "project $project"
# A service keeps one durable queue for as long as it lives. This one goes an hour after its last use.
rabbit PUT "queues/$vhost/$queue" '{"durable":true,"arguments":{"x-expires":3600000}}'
# Bound before anything is published, or the first events would be missed.
for name in scenes-defined image-generated generation-ended storyboard-completed command-rejected command-failed; do
  rabbit POST "bindings/$vhost/e/$name/q/$queue" "{\"routing_key\":\"$project\"}" >/dev/null
done

# Lane commands of one project are applied in the order of publishing: the second storyboard stands.
publish define-scenes "$(jq '{scenes: [.scenes[] | {id, index}]}' "$storyboard")"
commands=("$id")
publish define-scenes "$(jq '{scenes}' "$storyboard")"
commands+=("$id")
# Order holds among lane commands only. generate-storyboard has another queue, so wait until the scenes stand.
wait_for scenes-defined "$id"

publish generate-storyboard "$(jq '{imagesPerScene, model: "offline-painter", width: 256, height: 256}' "$storyboard")"
commands+=("$id")
wait_for storyboard-completed "$id"
end=$event

for id in "${commands[@]}"; do
  receipt=$(curl -sS --fail-with-body --max-time 30 "$PIPELINE_API/projects/$project/receipts/$id") || fail "command $id has no receipt: send it again"
  jq -r '"receipt \(.commandId): \(.command) \(.outcome) \(.reason // "")"' <<<"$receipt"
  [ "$(jq -r .outcome <<<"$receipt")" = applied ] || fail "the command was not applied"
done
rabbit DELETE "queues/$vhost/$queue"

jq -r '"\(.saved) of \(.requested) pictures saved"' <<<"$end"
[ "$(jq '.missingScenes | length' <<<"$end")" = 0 ] || fail "scenes without all their pictures: $(jq -c .missingScenes <<<"$end")"
