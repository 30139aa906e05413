-- Many rows in every table that grows, so that a plan shows what it would do at a million. Fifty rows to a project, one
-- of twenty open, one of a thousand due. Ids are made of their number, so that tables refer to each other. Plans ask for
-- the id of project 7; of what is few and has many rows, such as subscriptions, one has this id too.
create function pg_temp.id(what text, n bigint) returns uuid language sql immutable as
    $$ select md5(what || n)::uuid $$;
create function pg_temp.project(n bigint) returns uuid language sql immutable as
    $$ select md5('project' || n % greatest(:rows / 50, 1))::uuid $$;
create function pg_temp.key(n bigint) returns text language sql immutable as
    $$ select 'projects/' || pg_temp.project(n) || '/' || pg_temp.id('image', n) || '/' || md5('sha' || n) || '.png' $$;
create function pg_temp.at(n bigint) returns timestamptz language sql stable as
    $$ select now() - interval '90 days' * (1 - n::float8 / :rows) $$;
create function pg_temp.due(n bigint) returns timestamptz language sql stable as
    $$ select case when n % 1000 = 0 then now() - interval '1 minute' else now() + interval '1 hour' * (n % 100 + 1) end $$;
alter table pipeline.catalog_entries disable trigger user;

insert into pipeline.projects (id, version, created_at, updated_at, deleted_at, deletion_id)
select md5('project' || n - 1)::uuid, n, pg_temp.at(n), pg_temp.at(n), case when n % 20 = 0 then pg_temp.at(n) end,
       case when n % 20 = 0 then pg_temp.id('deletion', n) end
from generate_series(1, :rows) as n;
insert into pipeline.scenes (project_id, scene_id, index, prompt)
select pg_temp.project(n), 'scene-' || n, n, 'A kite' from generate_series(1, :rows) as n;
insert into pipeline.images
    (id, project_id, scene_id, slot, version, object_key, sha256, content_type, byte_length, width, height, object_seen,
     object_check_at, placed, project_version, saved_at, updated_at, deleted_at, deletion_id)
select pg_temp.id('image', n), pg_temp.project(n), case when n % 10 > 0 then 'scene-' || n end, n % 5, 1, pg_temp.key(n),
       md5('a' || n) || md5('b' || n), 'image/png', n, 64, 64, n % 20 > 0, case when n % 20 = 0 then pg_temp.due(n) end,
       n % 20 > 0, n, pg_temp.at(n), pg_temp.at(n), case when n % 20 = 1 then pg_temp.at(n) end,
       case when n % 20 = 1 then pg_temp.id('deletion', n) end
from generate_series(1, :rows) as n;
insert into pipeline.image_replacements
    (image_id, project_id, command_id, object_key, sha256, content_type, byte_length, width, height, object_check_at,
     requested_at)
select pg_temp.id('image', n), pg_temp.project(n), pg_temp.id('command', n), pg_temp.key(n) || '.new',
       md5('a' || n) || md5('b' || n), 'image/png', n, 64, 64, pg_temp.due(n), pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.image_urls
    (image_id, variant, version, url, strategy, degraded, steps, signed_at, refresh_after, expires_at)
select pg_temp.id('image', n), 'image', 1, 'https://cdn.example.org/' || n, 's3', n % 20 = 0, '[]', now(),
       pg_temp.due(n), now() + interval '1 day'
from generate_series(1, :rows) as n;
insert into pipeline.url_signings (image_id, version, configuration, due_at, failures)
select pg_temp.id('image', n), 1, 7, pg_temp.due(n), n % 20 / 19 from generate_series(1, :rows) as n;
insert into pipeline.receipts
    (command_id, project_id, command, request_hash, outcome, replays, announcements, at, scope, follow_up_id)
select pg_temp.id('command', n), pg_temp.project(n),
       (array['save-image', 'import-image', 'generate-image', 'define-scenes'])[n % 4 + 1], '\x00',
       case when n % 20 = 0 then 'failed' else 'applied' end, 0, '[]', pg_temp.at(n), pg_temp.project(n),
       case when n % 4 = 1 then pg_temp.id('command', n - 1) end
from generate_series(1, :rows) as n;
insert into pipeline.object_holds (key, command_id, project_id, image_id, held_at)
select pg_temp.key(n), pg_temp.id('command', n), pg_temp.project(n), pg_temp.id('image', n), pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.receipt_conflicts (command_id, scope, request_hash, project_id, command, body, at)
select pg_temp.id('command', n), pg_temp.project(n), '\x01', pg_temp.project(n), 'save-image', '{}', pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.catalog_entries (key, size, etag, content_type, last_modified, first_seen, gone_at)
select pg_temp.key(n), n, md5('e' || n), 'image/png', pg_temp.at(n), pg_temp.at(n),
       case when n % 20 = 0 then pg_temp.at(n) end
from generate_series(1, :rows) as n;
insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory)
select case when n % 4 > 0 then 'render-image' else 'image-saved' end, '', pg_temp.id('message', n), '{}', true
from generate_series(1, :rows) as n;
insert into pipeline.generation_requests
    (correlation_id, request_hash, current_state, prompt, model, width, height, attempt, attempts_from, due_at,
     deadline_at, created_at, updated_at)
select pg_temp.id('generation', n), n, case when n % 20 > 0 then 'Completed' when n % 40 > 0 then 'Requested' else 'Rendering' end,
       'A kite', 'painter', 64, 64, 1, 0, case when n % 40 = 20 then pg_temp.due(n) end, pg_temp.due(n), pg_temp.at(n),
       pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.generation_targets
    (command_id, generation_id, project_id, image_id, scene_id, slot, request_hash, import_command_id, outcome, created_at,
     released_at)
select pg_temp.id('command', n), pg_temp.id('generation', n), pg_temp.project(n), pg_temp.id('image', n), 'scene-' || n, 0,
       '\x00', pg_temp.id('command', n - 1), case when n % 20 > 0 then 'applied' end, pg_temp.at(n),
       case when n % 20 = 1 then now() end
from generate_series(1, :rows) as n;
insert into pipeline.generation_attempts (generation_id, attempt, outcome, ended_at)
select pg_temp.id('generation', n), 1, 'succeeded', pg_temp.at(n) from generate_series(1, :rows) as n;
insert into pipeline.generation_storyboards (command_id, project_id, requested, created_at, completed_at)
select pg_temp.id('storyboard', n), pg_temp.project(n), 5, pg_temp.at(n), case when n % 20 > 0 then pg_temp.at(n) end
from generate_series(1, :rows) as n;
insert into pipeline.generation_storyboard_items (storyboard_id, project_id, command_id, scene_id, slot)
select pg_temp.id('storyboard', n), pg_temp.project(n), pg_temp.id('command', n), 'scene-' || n, 0
from generate_series(1, :rows) as n;
insert into pipeline.purged_objects (key, image_id, purged_at)
select pg_temp.key(n) || '.old', pg_temp.id('image', n), pg_temp.at(n) from generate_series(1, :rows) as n;
insert into pipeline.deletions
    (correlation_id, current_state, kind, project_id, image_id, object_key, command_id, attempt, failures, due_at,
     purged_keys, created_at, updated_at)
select pg_temp.id('deletion', n), case when n % 20 > 0 then 'Completed' when n % 40 > 0 then 'Tombstoned' else 'Purging' end,
       (array['object', 'object', 'object', 'image', 'project'])[n % 5 + 1], pg_temp.project(n), pg_temp.id('image', n), pg_temp.key(n) || '.old',
       pg_temp.id('command', n), 1, 0, case when n % 40 = 20 then pg_temp.due(n) end, 1, pg_temp.at(n), pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.deletion_keys (deletion_id, key)
select pg_temp.id('deletion', n), pg_temp.key(n) || '.old' from generate_series(1, :rows) as n;
insert into pipeline.erasures (id, command_id, project_id, due_at, created_at, updated_at, ended_at)
select pg_temp.id('erasure', n), pg_temp.id('command', n), pg_temp.id('erased', n), pg_temp.due(n), pg_temp.at(n), pg_temp.at(n),
       case when n % 20 > 0 then pg_temp.at(n) end
from generate_series(1, :rows) as n;
insert into pipeline.erasure_counts (erasure_id, location, count)
select pg_temp.id('erasure', n), 'receipts', 1 from generate_series(1, :rows) as n;
insert into pipeline.import_sources (key, project_id, command_id, begun_at)
select 'uploads/' || n, pg_temp.project(n), pg_temp.id('command', n), pg_temp.at(n) from generate_series(1, :rows) as n;
insert into pipeline.reconciliations
    (id, bucket, state, request, replays, grace, cutoff, read_bytes, lease_until, started_at, updated_at, ended_at, scope)
select pg_temp.id('project', n), 'bucket', 'Completed', '', 0, '1 hour', pg_temp.at(n), false, pg_temp.at(n),
       pg_temp.at(n), pg_temp.at(n), pg_temp.at(n), pg_temp.id('sender', n)
from generate_series(1, 100) as n;
insert into pipeline.reconciliation_findings
    (reconciliation_id, number, kind, key, detail, repair_command_id)
select pg_temp.id('project', n % 20 + 1), n / 20, 'entry-without-object', pg_temp.key(n), '', pg_temp.id('command', n)
from generate_series(1, :rows) as n;
insert into pipeline.dead_letter_actions
    (action_id, run_id, action, queue, message_id, project_id, replays, successor_id, done_by, begun_at, done_at)
select pg_temp.id('action', n), pg_temp.id('run', n / 100), case when n % 2 = 0 then 'replay' else 'edit' end, 'deletion_error',
       pg_temp.id('command', n), pg_temp.project(n), 1, case when n % 2 > 0 then pg_temp.id('successor', n) end, 'jane',
       pg_temp.at(n), pg_temp.at(n)
from generate_series(1, :rows) as n;
insert into pipeline.webhook_subscriptions (id, url, events, project_id, state, lease_until, created_at, updated_at)
select pg_temp.id('project', n + 5), 'https://example.org', '{}', pg_temp.project(n), 'active', now(), now(), now()
from generate_series(0, 3) as n;
insert into pipeline.webhook_deliveries
    (subscription_id, message_id, event, project_id, body, state, attempts, replays, due_at, created_at, ended_at)
select pg_temp.id('project', n % 4 + 5), pg_temp.id('message', n), 'image-saved', pg_temp.project(n), '{}',
       case when n / 4 % 20 > 0 then 'delivered' else 'pending' end, 1, 0, case when n / 4 % 20 = 0 then pg_temp.due(n) end,
       pg_temp.at(n), case when n / 4 % 20 > 0 then pg_temp.at(n) end
from generate_series(1, :rows) as n;

insert into pipeline.workers (id, name, started_at, lease_until)
select pg_temp.id('worker', n), n, now(), now() from generate_series(1, 20) as n;
insert into pipeline.lanes (lane, worker_id, epoch, lease_until)
select n, pg_temp.id('worker', n % 20 + 1), 1, now() from generate_series(0, 63) as n;
insert into pipeline.generation_leases (generation_id, attempt, epoch, worker_id, lease_until)
select pg_temp.id('generation', n * 40), 1, n, pg_temp.id('worker', 1), now() + interval '1 hour' * (n - 1) from generate_series(1, 100) as n;
insert into pipeline.catalog_rebuilds
    (correlation_id, current_state, bucket, expected_keys, partitions, pages, keys, removed, started_at, ended_at)
select pg_temp.id('rebuild', n), 'Completed', 'bucket', 0, 1, 1, 1, 0, pg_temp.at(n), pg_temp.at(n) from generate_series(1, 100) as n;
insert into pipeline.catalog_rebuild_parts (rebuild_id, number, due_at)
select pg_temp.id('rebuild', 1), n, now() from generate_series(1, 100) as n;
insert into pipeline.catalog_rebuild_requests (command_id, scope, rebuild_id, joined)
select pg_temp.id('command', n), pg_temp.id('sender', n), pg_temp.id('rebuild', n), false from generate_series(1, 100) as n;
insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
select 'projects/', 'image/png', n, n from generate_series(1, 1000) as n;
insert into pipeline.url_steps (hour, step, reason, count)
select date_trunc('hour', now()) - interval '1 hour' * (n / 4), n % 4, '', 1 from generate_series(1, 2880) as n;
insert into pipeline.queues (name, declared_at) select 'queue-' || n, now() from generate_series(1, 100) as n;
insert into pipeline.webhook_bindings (event, routing_key) select 'event-' || n, '#' from generate_series(1, 100) as n;
