#!/bin/sh
# Once, on an empty volume: the same roles and rights as eng/services.d/postgres.sh makes. The publisher's role may connect and
# nothing else; the migrations grant it the views of schema status.
set -eu
psql -qX -v ON_ERROR_STOP=1 -U postgres -d postgres <<SQL
CREATE ROLE pipeline_workers LOGIN PASSWORD '$POSTGRES_WORKERS_PASSWORD';
CREATE ROLE pipeline_publisher LOGIN PASSWORD '$POSTGRES_PUBLISHER_PASSWORD';
CREATE DATABASE pipeline OWNER pipeline_workers ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE pipeline, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE pipeline TO pipeline_publisher;
\connect pipeline
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
