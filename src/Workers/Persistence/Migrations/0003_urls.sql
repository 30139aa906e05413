-- URLs under which browsers fetch pictures: signed ahead of time, reused until their refresh window opens.

-- The variants that the workers are configured for, written when one starts.
create table pipeline.url_variants (
    name          varchar(40)  not null constraint pk_url_variants primary key,
    chain         varchar(400) not null, -- its steps in order, for people
    configured_at timestamptz  not null
);

-- The URL of each variant. It is replaced by the next one and never emptied.
create table pipeline.image_urls (
    image_id      uuid        not null,
    variant       varchar(40) not null,
    version       integer     not null, -- of the picture; a URL of another version is not shown
    url           text        not null constraint ck_image_urls_url check (url <> ''),
    strategy      varchar(40) not null, -- the step that signed it
    degraded      boolean     not null,
    steps         jsonb       not null, -- the steps before it, each with what went wrong: [{"step","code","reason"}]
    signed_at     timestamptz not null,
    refresh_after timestamptz not null,
    expires_at    timestamptz not null,
    constraint pk_image_urls primary key (image_id, variant),
    constraint ck_image_urls_expires_at check (expires_at > signed_at)
);

create index ix_image_urls_degraded on pipeline.image_urls (image_id) where degraded; -- counted every few seconds

-- One row a picture: when its URLs are due, and who is signing them now. A claim ends by itself.
create table pipeline.url_signings (
    image_id       uuid        not null constraint pk_url_signings primary key,
    version        integer     not null,
    configuration  bigint      not null, -- a hash of the variants' settings; another one makes the picture due
    due_at         timestamptz not null,
    claim_id       uuid,
    claimed_until  timestamptz,
    signed_by      uuid,                 -- the command that last signed, so that its redelivery does not sign again
    failures       integer     not null default 0, -- since the last success
    failure_reason text,
    failed_at      timestamptz
);

create index ix_url_signings_due on pipeline.url_signings (due_at);

-- How often each step has succeeded (an empty reason) or failed, by the hour.
create table pipeline.url_steps (
    hour   timestamptz not null,
    step   varchar(40) not null,
    reason varchar(40) not null,
    count  bigint      not null,
    constraint pk_url_steps primary key (hour, step, reason)
);

-- What may be handed out: of the version that is shown, and with some life left, so that whoever has just read it can
-- still use it.
create or replace view status.image_urls as
select u.image_id, i.project_id, u.variant, u.version, u.url, u.strategy, u.degraded, u.steps, u.signed_at,
       u.refresh_after, u.expires_at, u.refresh_after <= now() as due, s.failures, s.failure_reason, s.failed_at,
       s.due_at as next_try_at
from pipeline.image_urls u
join pipeline.images i on i.id = u.image_id and i.version = u.version and i.placed and i.deleted_at is null
left join pipeline.url_signings s on s.image_id = u.image_id
where u.expires_at > now() + interval '10 seconds';

create or replace view status.url_variants as
select v.name, v.chain, v.configured_at from pipeline.url_variants v;

-- Signing by picture, also of those that have no URL yet or only one that has ended.
create or replace view status.url_signings as
select s.image_id, i.project_id, s.version, s.due_at, s.due_at <= now() as due,
       coalesce(s.claimed_until > now(), false) as claimed, s.failures, s.failure_reason, s.failed_at,
       u.urls, u.signed_at, u.refresh_after, u.expires_at
from pipeline.url_signings s
join pipeline.images i on i.id = s.image_id and i.version = s.version and i.placed and i.deleted_at is null
cross join lateral (
    select count(*) as urls, max(u.signed_at) as signed_at, min(u.refresh_after) as refresh_after,
           min(u.expires_at) as expires_at
    from pipeline.image_urls u where u.image_id = s.image_id and u.version = s.version
) u;

create or replace view status.url_steps as
select c.hour, c.step, c.reason, c.count from pipeline.url_steps c;

create or replace view status.url_health as
select p.images, p.images - u.signed as unsigned, u.urls, u.degraded, u.expired, g.failing, g.overdue,
       g.oldest_overdue_seconds, t.succeeded_last_day, t.failed_last_day
from (select count(*) as images from pipeline.images i where i.placed and i.deleted_at is null) p
cross join (
    select count(distinct x.image_id) as signed, count(*) as urls, count(*) filter (where x.degraded) as degraded,
           count(*) filter (where x.expires_at <= now()) as expired
    from pipeline.image_urls x
    join pipeline.images i on i.id = x.image_id and i.version = x.version and i.placed and i.deleted_at is null
) u
cross join (
    select count(*) filter (where s.failures > 0) as failing, count(*) filter (where s.due_at <= now()) as overdue,
           coalesce(extract(epoch from now() - min(s.due_at) filter (where s.due_at <= now())), 0)::bigint
               as oldest_overdue_seconds
    from pipeline.url_signings s
    join pipeline.images i on i.id = s.image_id and i.version = s.version and i.placed and i.deleted_at is null
) g
cross join (
    select coalesce(sum(c.count) filter (where c.reason = ''), 0)::bigint as succeeded_last_day,
           coalesce(sum(c.count) filter (where c.reason <> ''), 0)::bigint as failed_last_day
    from pipeline.url_steps c where c.hour > now() - interval '1 day'
) t;
