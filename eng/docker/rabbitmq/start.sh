#!/bin/sh
# Writes the users with the passwords from .env into the definitions that RabbitMQ loads at its start. The default "guest" is
# then never made. Runs as the image's root, which hands over to the user rabbitmq.
set -eu
umask 077
definitions=/etc/rabbitmq/pipeline-definitions.json
cat >"$definitions" <<JSON
{
  "vhosts": [{ "name": "pipeline" }],
  "users": [
    { "name": "admin", "password": "$RABBITMQ_ADMIN_PASSWORD", "tags": ["administrator"] },
    { "name": "workers", "password": "$RABBITMQ_WORKERS_PASSWORD", "tags": ["management"],
      "limits": $(cat /pipeline/limits/workers.json) },
    { "name": "publisher", "password": "$RABBITMQ_PUBLISHER_PASSWORD", "tags": [],
      "limits": $(cat /pipeline/limits/publisher.json) },
    { "name": "client", "password": "$RABBITMQ_CLIENT_PASSWORD", "tags": ["management"],
      "limits": $(cat /pipeline/limits/client.json) }
  ],
  "permissions": $(cat /pipeline/permissions.json),
  "policies": $(cat /pipeline/policies.json),
  "parameters": $(cat /pipeline/parameters.json)
}
JSON
chown rabbitmq "$definitions"
umask 022
exec docker-entrypoint.sh rabbitmq-server
