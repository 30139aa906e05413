-- Generation: one row a picture to render (the saga), one row for each request that wants it, and the leases of attempts.

create table pipeline.generation_requests (
    correlation_id uuid         not null constraint pk_generation_requests primary key,
    request_hash   varchar(120) not null constraint uq_generation_requests_hash unique,
    current_state  varchar(20)  not null,
    prompt         text         not null,
    model          varchar(100) not null,
    width          integer      not null,
    height         integer      not null,
    seed           bigint,
    options        jsonb,
    attempt        integer      not null, -- the current one, from 1
    attempts_from  integer      not null, -- attempts made before the last new beginning; the limit counts from here
    due_at         timestamptz,           -- when a waiting attempt may begin; null while it is queued or done
    deadline_at    timestamptz,
    object_key     varchar(1024),         -- of the rendered picture
    failure_kind   varchar(20),
    failure_reason text,
    created_at     timestamptz  not null,
    updated_at     timestamptz  not null
);

create index ix_generation_requests_due on pipeline.generation_requests (due_at) where due_at is not null;
create index ix_generation_requests_open on pipeline.generation_requests (updated_at)
    where current_state in ('Requested', 'Rendering', 'Saving');

-- A worker's claim on an attempt. It renews the lease while it renders; the epoch tells two claims apart.
create table pipeline.generation_leases (
    generation_id uuid        not null constraint pk_generation_leases primary key,
    attempt       integer     not null,
    epoch         bigint      not null,
    worker_id     uuid        not null,
    lease_until   timestamptz not null
);

-- Epochs never come twice, also where a lease's row was deleted in between.
create sequence pipeline.generation_lease_epochs;

-- Attempts that have ended, for people, and so that a redelivered message is known to be done. A row of any outcome
-- also keeps an attempt from beginning or from reporting.
create table pipeline.generation_attempts (
    generation_id uuid        not null,
    attempt       integer     not null,
    outcome       varchar(20) not null, -- succeeded, transient, permanent, moderation; or cancelled, lost by the saga
    reason        text,
    object_key    varchar(1024),
    worker_id     uuid,
    started_at    timestamptz,
    ended_at      timestamptz not null,
    constraint pk_generation_attempts primary key (generation_id, attempt)
);

-- Who wants the picture, and what became of it for each of them.
create table pipeline.generation_targets (
    command_id        uuid        not null constraint pk_generation_targets primary key,
    generation_id     uuid        not null,
    project_id        uuid        not null,
    image_id          uuid        not null,
    scene_id          varchar(100),
    scene_index       integer,
    slot              integer     not null,
    request_hash      bytea       not null, -- of the command, for its receipt
    import_command_id uuid,                 -- set when the picture is handed to the import
    save_command_id   uuid,
    outcome           varchar(20),          -- null while it is open
    told_at           timestamptz,          -- when the sweep last told the saga of its end in the lane
    created_at        timestamptz not null
);

create index ix_generation_targets_generation on pipeline.generation_targets (generation_id);
create index ix_generation_targets_project on pipeline.generation_targets (project_id);
create index ix_generation_targets_saving on pipeline.generation_targets (save_command_id)
    where outcome is null and save_command_id is not null;

-- A storyboard's generation: which requests belong to it, and whether its end was announced.
create table pipeline.generation_storyboards (
    command_id   uuid        not null constraint pk_generation_storyboards primary key,
    project_id   uuid        not null,
    requested    integer     not null,
    created_at   timestamptz not null,
    completed_at timestamptz
);

create index ix_generation_storyboards_open on pipeline.generation_storyboards (created_at) where completed_at is null;

create table pipeline.generation_storyboard_items (
    storyboard_id uuid         not null constraint fk_generation_storyboard_items
        references pipeline.generation_storyboards (command_id),
    command_id    uuid         not null,
    scene_id      varchar(100) not null,
    slot          integer      not null,
    constraint pk_generation_storyboard_items primary key (storyboard_id, command_id)
);

-- A provider that says "too many requests", or is down, closes its gate for all workers.
create table pipeline.provider_gates (
    provider     varchar(100) not null constraint pk_provider_gates primary key,
    closed_until timestamptz  not null,
    reason       text         not null
);

create or replace view status.generations as
select g.correlation_id as id, g.request_hash, g.current_state as state, g.prompt, g.model, g.width, g.height, g.seed,
       g.attempt, g.attempts_from, g.due_at, g.deadline_at, g.object_key, g.failure_kind, g.failure_reason,
       l.worker_id, l.lease_until, g.created_at, g.updated_at
from pipeline.generation_requests g
left join pipeline.generation_leases l on l.generation_id = g.correlation_id and l.attempt = g.attempt;

create or replace view status.generation_attempts as
select a.generation_id, a.attempt, a.outcome, a.reason, a.object_key, a.worker_id, a.started_at, a.ended_at
from pipeline.generation_attempts a;

create or replace view status.generation_targets as
select t.command_id, t.generation_id, t.project_id, t.image_id, t.scene_id, t.scene_index, t.slot, t.import_command_id,
       t.save_command_id, t.outcome, g.current_state as state, g.attempt, g.failure_reason, g.due_at, t.created_at
from pipeline.generation_targets t
left join pipeline.generation_requests g on g.correlation_id = t.generation_id;

create or replace view status.generation_storyboards as
select s.command_id, s.project_id, s.requested, s.created_at, s.completed_at, i.ended, i.saved, i.missing_scenes
from pipeline.generation_storyboards s
cross join lateral (
    select count(r.command_id) as ended,
           count(*) filter (where r.outcome in ('applied', 'unchanged')) as saved,
           coalesce(array_agg(distinct x.scene_id)
               filter (where coalesce(r.outcome, '') not in ('applied', 'unchanged')), '{}') as missing_scenes
    from pipeline.generation_storyboard_items x
    left join pipeline.receipts r on r.command_id = x.command_id
    where x.storyboard_id = s.command_id
) i;

create or replace view status.provider_gates as
select p.provider, p.closed_until, p.reason, p.closed_until > now() as closed
from pipeline.provider_gates p;
