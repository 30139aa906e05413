-- Reconciliation: do bucket, pictures, catalogue and URLs agree?

-- The merge goes through pictures in the order of the bucket's listing.
create index ix_images_object_key on pipeline.images (object_key collate "C");

create table pipeline.reconciliations (
    id             uuid         not null constraint pk_reconciliations primary key, -- the command's
    bucket         varchar(63)  not null,
    state          varchar(20)  not null constraint ck_reconciliations_state check
        (state in ('Comparing', 'Repairing', 'Settling', 'Completed', 'Failed')),
    repair_of      uuid         constraint fk_reconciliations_repair_of references pipeline.reconciliations (id),
    request        bytea        not null, -- the command as it came, for its receipt
    replays        integer      not null,
    grace          interval     not null,
    cutoff         timestamptz  not null, -- what was written later is in flight
    read_bytes     boolean      not null,
    after_key      varchar(1024) collate "C", -- the last one compared
    after_finding  integer      not null default 0, -- the last one repaired
    objects        bigint       not null default 0,
    rows           bigint       not null default 0,
    findings       bigint       not null default 0,
    epoch          bigint       not null default 0, -- rises with each worker that takes it over
    lease_until    timestamptz  not null,
    waits_for      text, -- what keeps it from going on
    failure_reason text,
    started_at     timestamptz  not null,
    updated_at     timestamptz  not null,
    ended_at       timestamptz
);

create unique index uq_reconciliations_open on pipeline.reconciliations (bucket) where ended_at is null;
create unique index uq_reconciliations_repair on pipeline.reconciliations (repair_of) where state <> 'Failed';

create table pipeline.reconciliation_findings (
    reconciliation_id uuid         not null constraint fk_reconciliation_findings
        references pipeline.reconciliations (id),
    number            integer      not null,
    kind              varchar(40)  not null,
    key               varchar(1024) collate "C" not null,
    project_id        uuid,
    image_id          uuid,
    detail            text         not null,
    repair_command    varchar(60),
    repair_command_id uuid,
    constraint pk_reconciliation_findings primary key (reconciliation_id, number)
);

create view status.reconciliations as
select r.id, r.bucket, r.state, r.repair_of, r.grace, r.cutoff, r.read_bytes, r.after_key, r.objects, r.rows, r.findings,
       r.waits_for, r.failure_reason, r.started_at, r.updated_at, r.ended_at,
       (select coalesce(jsonb_object_agg(k.kind, k.count), '{}'::jsonb)
        from (select f.kind, count(*) as count from pipeline.reconciliation_findings f
              where f.reconciliation_id = r.id group by f.kind) k) as kinds
from pipeline.reconciliations r;

create view status.reconciliation_findings as
select f.reconciliation_id, f.number, f.kind, f.key, f.project_id, f.image_id, f.detail, f.repair_command,
       f.repair_command_id, t.outcome as repair_outcome, t.reason as repair_reason
from pipeline.reconciliation_findings f
left join pipeline.receipts t on t.command_id = f.repair_command_id;
