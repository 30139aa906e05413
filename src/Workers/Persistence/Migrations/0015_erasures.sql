-- Deleted means gone: what was generated goes with the last image that needs it.

-- When the image of a request was found to be purged: the request needs the generation no more.
alter table pipeline.generation_targets add column released_at timestamptz;

-- Since when a project is to be erased; from then on it cannot be restored.
alter table pipeline.projects add column erased_at timestamptz;

-- Erasures of projects: one row each, and what was found where.
create table pipeline.erasures (
    id         uuid        not null constraint pk_erasures primary key, -- derived from project and command
    command_id uuid        not null,
    project_id uuid        not null,
    epoch      bigint      not null default 0, -- rises with each worker that goes on with it
    passes     integer     not null default 0, -- how often everything was looked through
    due_at     timestamptz not null,           -- when a worker goes on; until then the one that has it renews this
    waits_for  text,                           -- what keeps it from going on
    created_at timestamptz not null,
    updated_at timestamptz not null,
    ended_at   timestamptz
);

create unique index uq_erasures_open on pipeline.erasures (project_id) where ended_at is null;
create index ix_erasures_due on pipeline.erasures (due_at) where ended_at is null;
create index ix_erasures_project on pipeline.erasures (project_id, created_at);

create table pipeline.erasure_counts (
    erasure_id uuid         not null constraint fk_erasure_counts references pipeline.erasures (id),
    location   varchar(200) not null,
    count      bigint       not null,
    constraint pk_erasure_counts primary key (erasure_id, location)
);

create index ix_webhook_deliveries_project on pipeline.webhook_deliveries (project_id);

create view status.erasures as
select e.command_id as id, e.project_id, case when e.ended_at is null then 'Erasing' else 'Erased' end as state, e.passes, e.waits_for,
       (select coalesce(jsonb_object_agg(c.location, c.count), '{}'::jsonb)
        from pipeline.erasure_counts c where c.erasure_id = e.id) as locations,
       e.created_at, e.updated_at, e.ended_at
from pipeline.erasures e;
