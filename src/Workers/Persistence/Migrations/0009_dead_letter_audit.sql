-- Dead letters: which queues there are, what people did about them, and the place of a write in its project's order.

-- Queues of this pipeline, written when they are declared. AMQP cannot list queues, and the publisher has to know them.
create table pipeline.queues (
    name        varchar(100) not null constraint pk_queues primary key,
    declared_at timestamptz  not null
);

-- One row for each dead letter that a person replayed, edited, discarded or parked. "Begun" is written before the
-- dead letter is touched, "done" after it is gone from its queue.
create table pipeline.dead_letter_actions (
    action_id    uuid         not null constraint pk_dead_letter_actions primary key,
    run_id       uuid         not null, -- one call of a verb
    action       varchar(20)  not null constraint ck_dead_letter_actions_action check
        (action in ('replay', 'edit', 'discard', 'park')),
    queue        varchar(120) not null, -- where the dead letter lay
    message_id   varchar(255),
    command      varchar(100),          -- the message's type
    project_id   uuid,
    replays      integer      not null, -- what the replay carries as x-replay-count; 0 for other actions
    successor_id uuid,                  -- the command that an edit made
    done_by      varchar(200) not null,
    reason       text,
    begun_at     timestamptz  not null,
    done_at      timestamptz
);

create index ix_dead_letter_actions_message on pipeline.dead_letter_actions (message_id);
create index ix_dead_letter_actions_begun on pipeline.dead_letter_actions (begun_at);
-- A command has at most one edited successor; who comes second finds it here.
create unique index uq_dead_letter_actions_edit on pipeline.dead_letter_actions (message_id) where action = 'edit';

-- The place of a write in its project's order: that of its first decision. A command that failed and is replayed later
-- keeps it, and so is known to be older than what was decided meanwhile. Drawn while the project's row is locked.
create sequence pipeline.places;

alter table pipeline.receipts add column place bigint not null default nextval('pipeline.places');
alter table pipeline.images add column place bigint not null default nextval('pipeline.places');
alter table pipeline.image_replacements add column place bigint not null default nextval('pipeline.places');

create index ix_receipts_scenes on pipeline.receipts (project_id, place)
    where command = 'define-scenes' and outcome in ('applied', 'unchanged');
create index ix_images_slot on pipeline.images (project_id, slot, place) where deleted_at is null;

create or replace view status.queues as
select q.name, q.declared_at from pipeline.queues q;

-- The outcome of a replay or an edit is the receipt's, once there is one.
create or replace view status.dead_letter_actions as
select a.action_id, a.run_id, a.action, a.queue, a.message_id, a.command, a.project_id, a.replays, a.successor_id,
       a.done_by, a.reason, a.begun_at, a.done_at,
       coalesce(r.outcome, case when a.done_at is null then 'begun' else 'done' end) as outcome
from pipeline.dead_letter_actions a
left join pipeline.receipts r on
    r.replays >= a.replays and r.command_id =
        case
            when a.action = 'edit' then a.successor_id
            when a.action = 'replay' and a.message_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
                then a.message_id::uuid
        end;

create or replace view status.receipt_places as
select r.command_id, r.project_id, r.command, r.outcome, r.place from pipeline.receipts r;

create or replace view status.image_places as
select i.id, i.place from pipeline.images i;
