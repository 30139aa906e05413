-- A command's id counts within its scope: its project or, for a command of none, its sender.

alter table pipeline.receipts
    add column scope        uuid,
    add column follow_up_id uuid; -- the command that the pipeline has sent because of this one
update pipeline.receipts set scope = project_id;
alter table pipeline.receipts
    alter column scope set not null,
    drop constraint pk_receipts,
    add constraint pk_receipts primary key (command_id, scope);

alter table pipeline.receipt_conflicts add column scope uuid;
update pipeline.receipt_conflicts set scope = project_id;
alter table pipeline.receipt_conflicts
    alter column scope set not null,
    drop constraint pk_receipt_conflicts,
    add constraint pk_receipt_conflicts primary key (command_id, scope, request_hash);

-- Only what is being applied has a row, so this one is as good as empty.
delete from pipeline.lane_suspects;
alter table pipeline.lane_suspects
    add column project_id uuid not null,
    drop constraint pk_lane_suspects,
    add constraint pk_lane_suspects primary key (project_id, command_id, worker_id);

-- A failed import keeps its upload. One that has no receipt yet is delivered again, and writes its row anew.
alter table pipeline.import_sources add column project_id uuid;
update pipeline.import_sources s set project_id = r.project_id
from pipeline.receipts r where r.command_id = s.command_id;
delete from pipeline.import_sources where project_id is null;
alter table pipeline.import_sources
    alter column project_id set not null,
    drop constraint pk_import_sources,
    add constraint pk_import_sources primary key (key, project_id, command_id);

alter table pipeline.catalog_rebuild_requests
    add column scope uuid not null default '00000000-0000-0000-0000-000000000000',
    drop constraint pk_catalog_rebuild_requests,
    add constraint pk_catalog_rebuild_requests primary key (command_id, scope);
alter table pipeline.catalog_rebuild_requests alter column scope drop default;

alter table pipeline.reconciliations
    add column scope uuid not null default '00000000-0000-0000-0000-000000000000';
alter table pipeline.reconciliations alter column scope drop default;

-- The save's id is in the import's receipt.
update pipeline.receipts r set follow_up_id = t.save_command_id
from pipeline.generation_targets t
where r.command_id = t.import_command_id and r.scope = t.project_id and t.save_command_id is not null;
drop view status.generation_targets;
drop index pipeline.ix_generation_targets_saving;
alter table pipeline.generation_targets
    drop column save_command_id,
    drop constraint pk_generation_targets,
    add constraint pk_generation_targets primary key (command_id, project_id);
create index ix_generation_targets_importing on pipeline.generation_targets (import_command_id)
    where outcome is null and import_command_id is not null;

create view status.generation_targets as
select t.command_id, t.generation_id, t.project_id, t.image_id, t.scene_id, t.scene_index, t.slot, t.import_command_id,
       i.follow_up_id as save_command_id, t.outcome, g.current_state as state, g.attempt, g.failure_reason, g.due_at,
       t.created_at
from pipeline.generation_targets t
left join pipeline.generation_requests g on g.correlation_id = t.generation_id
left join pipeline.receipts i on i.command_id = t.import_command_id and i.scope = t.project_id;

alter table pipeline.generation_storyboard_items
    add column project_id uuid,
    drop constraint fk_generation_storyboard_items,
    drop constraint pk_generation_storyboard_items;
update pipeline.generation_storyboard_items i set project_id = s.project_id
from pipeline.generation_storyboards s where s.command_id = i.storyboard_id;
alter table pipeline.generation_storyboards
    drop constraint pk_generation_storyboards,
    add constraint pk_generation_storyboards primary key (command_id, project_id);
alter table pipeline.generation_storyboard_items
    alter column project_id set not null,
    add constraint pk_generation_storyboard_items primary key (storyboard_id, project_id, command_id),
    add constraint fk_generation_storyboard_items foreign key (storyboard_id, project_id)
        references pipeline.generation_storyboards (command_id, project_id);

create or replace view status.generation_storyboards as
select s.command_id, s.project_id, s.requested, s.created_at, s.completed_at, i.ended, i.saved, i.missing_scenes
from pipeline.generation_storyboards s
cross join lateral (
    select count(r.command_id) as ended,
           count(*) filter (where r.outcome in ('applied', 'unchanged')) as saved,
           coalesce(array_agg(distinct x.scene_id)
               filter (where coalesce(r.outcome, '') not in ('applied', 'unchanged')), '{}') as missing_scenes
    from pipeline.generation_storyboard_items x
    left join pipeline.receipts r on r.command_id = x.command_id and r.scope = x.project_id
    where x.storyboard_id = s.command_id and x.project_id = s.project_id
) i;

create or replace view status.receipts as
select r.command_id, r.project_id, r.command, r.outcome, r.reason, r.project_version, r.replays, r.at, r.scope,
       r.follow_up_id
from pipeline.receipts r;

create or replace view status.receipt_conflicts as
select c.command_id, c.project_id, c.command, c.body, c.at, c.scope
from pipeline.receipt_conflicts c;

create or replace view status.receipt_places as
select r.command_id, r.project_id, r.command, r.outcome, r.place, r.scope from pipeline.receipts r;

-- A command has at most one edited successor.
drop index pipeline.uq_dead_letter_actions_edit;
create unique index uq_dead_letter_actions_edit on pipeline.dead_letter_actions
    (message_id, coalesce(project_id, '00000000-0000-0000-0000-000000000000')) where action = 'edit';

-- A dead letter of a project's command has that project's receipt. For any other the sender is not on record here, and
-- the newest receipt of that id is taken.
create or replace view status.dead_letter_actions as
select a.action_id, a.run_id, a.action, a.queue, a.message_id, a.command, a.project_id, a.replays, a.successor_id,
       a.done_by, a.reason, a.begun_at, a.done_at,
       coalesce(r.outcome, case when a.done_at is null then 'begun' else 'done' end) as outcome
from pipeline.dead_letter_actions a
left join lateral (
    select x.outcome from pipeline.receipts x
    where x.replays >= a.replays and (x.scope = a.project_id or a.project_id is null)
        and x.command_id =
            case
                when a.action = 'edit' then a.successor_id
                when a.action = 'replay' and a.message_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
                    then a.message_id::uuid
            end
    order by x.at desc limit 1
) r on true;

create or replace view status.reconciliation_findings as
select f.reconciliation_id, f.number, f.kind, f.key, f.project_id, f.image_id, f.detail, f.repair_command,
       f.repair_command_id, t.outcome as repair_outcome, t.reason as repair_reason
from pipeline.reconciliation_findings f
left join lateral (
    select r.outcome, r.reason from pipeline.receipts r where r.command_id = f.repair_command_id
    order by r.at desc limit 1
) t on true;
