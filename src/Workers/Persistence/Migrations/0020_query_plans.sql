-- Every statement finds its rows by an index, however many there are. A test reads the plan of each one.

-- Of a project: all images in the order of its pages, tombstones too; those that are shown in the order of their ids.
create index ix_images_project on pipeline.images (project_id, scene_index, scene_id, slot, project_version, id);
create index ix_images_shown on pipeline.images (project_id, id) where placed and deleted_at is null;
create index ix_image_replacements_project on pipeline.image_replacements (project_id);
create index ix_image_replacements_key on pipeline.image_replacements (object_key);
create index ix_generation_storyboards_project on pipeline.generation_storyboards (project_id, created_at desc, command_id);
create index ix_import_sources_project on pipeline.import_sources (project_id, key);
create index ix_receipt_conflicts_project on pipeline.receipt_conflicts (project_id);
create index ix_dead_letter_actions_project on pipeline.dead_letter_actions (project_id) where project_id is not null;
create index ix_dead_letter_actions_successor on pipeline.dead_letter_actions (successor_id) where successor_id is not null;

-- Lists of the newest.
create index ix_projects_newest on pipeline.projects (updated_at desc, id) where deleted_at is null;
create index ix_receipts_newest on pipeline.receipts (at desc, command_id);
drop index pipeline.ix_receipts_at; -- The new one finds the oldest as well.
create index ix_receipts_outcome on pipeline.receipts (outcome, at desc, command_id) where outcome <> 'applied';
create index ix_deletions_newest on pipeline.deletions (created_at desc, correlation_id);
create index ix_erasures_newest on pipeline.erasures (created_at desc, id);

-- What is old, for the sweep that deletes it.
create index ix_receipt_conflicts_at on pipeline.receipt_conflicts (at);
create index ix_import_sources_begun on pipeline.import_sources (begun_at);
create index ix_generation_requests_ended on pipeline.generation_requests (updated_at)
    where current_state in ('Completed', 'Abandoned', 'Rejected', 'Cancelled', 'Removed');
create index ix_generation_storyboards_completed on pipeline.generation_storyboards (completed_at)
    where completed_at is not null;
create index ix_deletions_ended on pipeline.deletions (updated_at) where current_state in ('Completed', 'Restored');
create index ix_deletion_keys_key on pipeline.deletion_keys (key);
drop index pipeline.ix_purged_objects_at;
create index ix_purged_objects_at on pipeline.purged_objects (purged_at);
create index ix_erasures_ended on pipeline.erasures (ended_at) where ended_at is not null;

-- What is open, for sweeps that ask about one moment or one thing.
create index ix_generation_requests_deadline on pipeline.generation_requests (deadline_at)
    where deadline_at is not null and current_state in ('Requested', 'Rendering');
drop index pipeline.ix_generation_storyboards_open;
-- By a hash, because the sweep begins at a place of chance and the ids are their senders'.
create index ix_generation_storyboards_open on pipeline.generation_storyboards (uuid_hash(command_id))
    where completed_at is null;
create index ix_deletions_open_image on pipeline.deletions (image_id)
    where current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating');
create index ix_deletions_open_object on pipeline.deletions (object_key)
    where current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating');
create index ix_deletions_open_project on pipeline.deletions (project_id)
    where current_state in ('Tombstoned', 'Purging', 'Verifying', 'Invalidating') and kind = 'project';
create index ix_outbox_imports on pipeline.outbox (id) where exchange = 'import-image';

-- Deliveries: the next one of a subscription, its page, and its figures.
create index ix_webhook_deliveries_next on pipeline.webhook_deliveries (subscription_id, id) where state = 'pending';
create index ix_webhook_deliveries_dead on pipeline.webhook_deliveries (subscription_id, id) where state = 'dead';
create index ix_webhook_deliveries_delivered on pipeline.webhook_deliveries (subscription_id, ended_at)
    where state = 'delivered';
create index ix_webhook_deliveries_subscription on pipeline.webhook_deliveries (subscription_id, id);

-- Rows come and go all the time: what is dead goes before it is walked over many times.
alter table pipeline.outbox set
    (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table pipeline.catalog_tallies set
    (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
alter table pipeline.url_signings set (autovacuum_vacuum_scale_factor = 0.02);

-- Findings by kind are added up as they are found.
alter table pipeline.reconciliations add column kinds jsonb not null default '{}';
update pipeline.reconciliations r set kinds = k.kinds
from (select reconciliation_id, jsonb_object_agg(kind, count) as kinds
      from (select reconciliation_id, kind, count(*) as count from pipeline.reconciliation_findings group by 1, 2) c
      group by reconciliation_id) k
where k.reconciliation_id = r.id;

create or replace view status.reconciliations as
select r.id, r.bucket, r.state, r.repair_of, r.grace, r.cutoff, r.read_bytes, r.after_key, r.objects, r.rows, r.findings,
       r.waits_for, r.failure_reason, r.started_at, r.updated_at, r.ended_at, r.kinds
from pipeline.reconciliations r;

-- Both count up to 10,000: more than that is a backlog, whatever its number.
create or replace view status.outbox as
select (select count(*) from (select from pipeline.outbox order by id limit 10000) w) as waiting,
       (select created_at from pipeline.outbox order by id limit 1) as oldest;

create or replace view status.webhook_subscriptions as
select s.id, regexp_replace(s.url, '\?.*$', '?…') as url, s.events, s.project_id, s.state, s.state_reason,
       s.created_at, s.updated_at,
       (select count(*) from (select from pipeline.webhook_deliveries d
                              where d.subscription_id = s.id and d.state = 'pending' order by d.id limit 10000) x) as pending,
       (select count(*) from (select from pipeline.webhook_deliveries d
                              where d.subscription_id = s.id and d.state = 'dead' order by d.id limit 10000) x) as dead,
       (select max(d.ended_at) from pipeline.webhook_deliveries d
        where d.subscription_id = s.id and d.state = 'delivered') as delivered_at
from pipeline.webhook_subscriptions s;
