-- The catalogue: what the object store is known to hold. An entry whose object is gone stays for a while, so that a
-- listing or an event from before cannot bring it back; readers see the entries of objects that are there.

alter table pipeline.catalog_objects rename to catalog_entries;
alter table pipeline.catalog_entries rename constraint pk_catalog_objects to pk_catalog_entries;
alter table pipeline.catalog_entries
    add column gone_at         timestamptz,                        -- null while the object is there
    add column changed_at      timestamptz not null default now(), -- when the entry was last decided: its version
    add column sequencer       varchar(100) collate "C",           -- of the newest event applied, made comparable
    add column seen_in_rebuild uuid;                               -- the last rebuild whose listing had the key
-- Rows that were there count as older than any rebuild; new ones tell the moment, not their transaction's begin.
alter table pipeline.catalog_entries alter column changed_at set default clock_timestamp();
-- A rebuild marks every row: room in the page lets it do so without touching the indexes.
alter table pipeline.catalog_entries set (fillfactor = 85);

create index ix_catalog_entries_newest on pipeline.catalog_entries (last_modified) where gone_at is null;
create index ix_catalog_entries_gone on pipeline.catalog_entries (gone_at) where gone_at is not null;

create view pipeline.catalog_objects as
select key, size, etag, content_type, last_modified, first_seen, held_by, held_until, seen_in_rebuild
from pipeline.catalog_entries where gone_at is null;

-- Who deletes from the view has deleted the object, and that is remembered.
create function pipeline.remember_deletion() returns trigger language plpgsql as $$
begin
    update pipeline.catalog_entries set gone_at = clock_timestamp(), changed_at = clock_timestamp()
    where key = old.key and gone_at is null;
    if found then
        return old;
    end if;
    return null; -- Somebody else was first: no row of this statement.
end $$;

create trigger remember_deletions instead of delete on pipeline.catalog_objects
    for each row execute function pipeline.remember_deletion();

-- Objects and bytes by prefix and type. Each statement adds its differences, which meet nobody else's row; the sweep
-- adds them up. So counting costs a few hundred rows, however many objects there are.
create table pipeline.catalog_tallies (
    id           bigint        generated always as identity constraint pk_catalog_tallies primary key,
    prefix       varchar(1024) collate "C" not null,
    content_type varchar(100)  not null,
    objects      bigint        not null,
    bytes        bigint        not null
);

-- The key's first folder; empty for a key without one.
create function pipeline.catalog_prefix(key text) returns text language sql immutable
return case when strpos(key, '/') > 0 then split_part(key, '/', 1) || '/' else '' end;

-- A listing does not tell the type. Until the object is looked at, its key's ending stands for it.
create function pipeline.catalog_type(key text, content_type text) returns text language sql immutable
return coalesce(content_type, case lower(substring(key from '\.([^./]+)$'))
    when 'png' then 'image/png' when 'jpg' then 'image/jpeg' when 'jpeg' then 'image/jpeg' when 'gif' then 'image/gif'
    when 'webp' then 'image/webp' when 'avif' then 'image/avif' else 'unknown' end);

create function pipeline.tally_catalog() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
        select pipeline.catalog_prefix(key), pipeline.catalog_type(key, content_type), count(*), sum(size)
        from entries_after where gone_at is null group by 1, 2;
    elsif tg_op = 'DELETE' then
        insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
        select pipeline.catalog_prefix(key), pipeline.catalog_type(key, content_type), -count(*), -sum(size)
        from entries_before where gone_at is null group by 1, 2;
    elsif tg_op = 'UPDATE' then
        insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
        select pipeline.catalog_prefix(key), pipeline.catalog_type(key, content_type), sum(one), sum(one * size)
        from (
            select key, content_type, size, 1 as one from entries_after where gone_at is null
            union all
            select key, content_type, size, -1 from entries_before where gone_at is null
        ) as changes
        group by 1, 2 having sum(one) <> 0 or sum(one * size) <> 0;
    else
        delete from pipeline.catalog_tallies;
    end if;
    return null;
end $$;

create trigger tally_inserts after insert on pipeline.catalog_entries
    referencing new table as entries_after for each statement execute function pipeline.tally_catalog();
create trigger tally_updates after update on pipeline.catalog_entries
    referencing old table as entries_before new table as entries_after
    for each statement execute function pipeline.tally_catalog();
create trigger tally_deletes after delete on pipeline.catalog_entries
    referencing old table as entries_before for each statement execute function pipeline.tally_catalog();
create trigger tally_truncates after truncate on pipeline.catalog_entries
    for each statement execute function pipeline.tally_catalog();

insert into pipeline.catalog_tallies (prefix, content_type, objects, bytes)
select pipeline.catalog_prefix(key), pipeline.catalog_type(key, content_type), count(*), sum(size)
from pipeline.catalog_entries group by 1, 2;

-- One row a rebuild: the saga.
create table pipeline.catalog_rebuilds (
    correlation_id uuid        not null constraint pk_catalog_rebuilds primary key,
    current_state  varchar(20) not null,
    bucket         varchar(63) not null,
    expected_keys  bigint      not null, -- in the catalogue at the start, to estimate the end
    partitions     integer     not null, -- these four: at the end; while it runs, the parts tell
    pages          bigint      not null,
    keys           bigint      not null,
    removed        bigint      not null,
    failure_reason text,
    started_at     timestamptz not null, -- by the database's clock: what changed later is not swept
    ended_at       timestamptz
);

-- The rebuild that a bucket has; the key keeps a second one from beginning beside it.
create table pipeline.catalog_rebuild_slots (
    bucket     varchar(63) not null constraint pk_catalog_rebuild_slots primary key,
    rebuild_id uuid        not null
);

-- Who asked for it; each is answered at its end.
create table pipeline.catalog_rebuild_requests (
    command_id   uuid        not null constraint pk_catalog_rebuild_requests primary key,
    rebuild_id   uuid        not null,
    joined       boolean     not null, -- it was running already
    created_at   timestamptz not null default now()
);

create index ix_catalog_rebuild_requests_rebuild on pipeline.catalog_rebuild_requests (rebuild_id);

-- The work of a running rebuild: ranges of keys to list, and in the end one sweep over all of them. A message works
-- one page of one part; the row says which page is next, so that a message that comes again finds it done.
create table pipeline.catalog_rebuild_parts (
    rebuild_id    uuid          not null,
    number        integer       not null, -- from 0; the sweep is -1
    after_key     varchar(1024) collate "C", -- the next page begins after this key
    until_key     varchar(1024) collate "C", -- the last key of the part; null for the last part
    pages         integer       not null default 0,
    keys          bigint        not null default 0, -- listed; for the sweep: removed
    done          boolean       not null default false,
    tries         integer       not null default 0, -- of the next page, that the store did not answer
    waiting_since timestamptz,
    wait_reason   text,
    due_at        timestamptz,               -- when its message is sent again: after a pause, or because it was lost
    constraint pk_catalog_rebuild_parts primary key (rebuild_id, number)
);

create index ix_catalog_rebuild_parts_due on pipeline.catalog_rebuild_parts (due_at);

create or replace view status.catalog as
select o.key, o.size, o.etag, o.content_type, o.last_modified, o.first_seen, o.changed_at, o.seen_in_rebuild
from pipeline.catalog_entries o where o.gone_at is null;

create view status.catalog_rebuilds as
select r.correlation_id as id, r.bucket, r.current_state as state, r.started_at, r.ended_at, r.expected_keys,
       p.partitions, p.partitions_listed, p.pages, p.keys, p.removed, x.keys_per_second,
       case
           when r.ended_at is not null then null
           when r.current_state = 'Sweeping' then now()
           when r.expected_keys > p.keys and p.keys > 0
               then now() + make_interval(secs => (r.expected_keys - p.keys) / x.keys_per_second)
           when p.partitions_listed > 0
               then now() + x.elapsed * (p.partitions - p.partitions_listed)::float8 / p.partitions_listed
       end as estimated_end,
       p.waiting_since, p.wait_reason, r.failure_reason,
       (select count(*) from pipeline.catalog_rebuild_requests q where q.rebuild_id = r.correlation_id) as requests
from pipeline.catalog_rebuilds r
cross join lateral (
    select (r.partitions + count(*) filter (where q.number >= 0))::int as partitions,
           (r.partitions + count(*) filter (where q.number >= 0 and q.done))::int as partitions_listed,
           r.pages + coalesce(sum(q.pages) filter (where q.number >= 0), 0)::bigint as pages,
           r.keys + coalesce(sum(q.keys) filter (where q.number >= 0), 0)::bigint as keys,
           r.removed + coalesce(sum(q.keys) filter (where q.number < 0), 0)::bigint as removed,
           min(q.waiting_since) as waiting_since, min(q.wait_reason) as wait_reason
    from pipeline.catalog_rebuild_parts q where q.rebuild_id = r.correlation_id
) p
cross join lateral (
    select e.elapsed, p.keys / greatest(extract(epoch from e.elapsed), 0.001)::float8 as keys_per_second
    from (select coalesce(r.ended_at, now()) - r.started_at as elapsed) e
) x;

create view status.catalog_rebuild_requests as
select q.command_id, q.rebuild_id, q.joined, q.created_at
from pipeline.catalog_rebuild_requests q;

-- One row, cheap enough to be polled. The lists hold the hundred prefixes and types with the most objects.
create view status.catalog_statistics as
with totals as materialized (
    select prefix, content_type, sum(objects)::bigint as objects, sum(bytes)::bigint as bytes
    from pipeline.catalog_tallies group by prefix, content_type having sum(objects) <> 0
)
select coalesce((select sum(objects) from totals), 0)::bigint as objects,
       coalesce((select sum(bytes) from totals), 0)::bigint as bytes,
       coalesce((select jsonb_agg(jsonb_build_object('prefix', x.prefix, 'objects', x.objects, 'bytes', x.bytes)
                                  order by x.objects desc, x.prefix)
                 from (select prefix, sum(objects)::bigint as objects, sum(bytes)::bigint as bytes from totals
                       group by prefix order by 2 desc, 1 limit 100) x), '[]'::jsonb) as by_prefix,
       coalesce((select jsonb_agg(jsonb_build_object('contentType', x.content_type, 'objects', x.objects,
                                                     'bytes', x.bytes)
                                  order by x.objects desc, x.content_type)
                 from (select content_type, sum(objects)::bigint as objects, sum(bytes)::bigint as bytes from totals
                       group by content_type order by 2 desc, 1 limit 100) x), '[]'::jsonb) as by_type,
       (select max(e.last_modified) from pipeline.catalog_entries e where e.gone_at is null) as newest_at,
       l.id as last_rebuild_id, l.started_at as last_rebuild_started_at, l.ended_at as last_rebuilt_at
from (select 1) as one
left join lateral (
    select r.correlation_id as id, r.started_at, r.ended_at from pipeline.catalog_rebuilds r
    where r.current_state = 'Completed' order by r.ended_at desc limit 1
) l on true;

-- For SQL callers: queues a record-object, as any service would send it. The worker that takes it looks into the store
-- before it believes the key. Nobody may call it until granted:
--   grant usage on schema public to ROLE; grant execute on function public.add_file_to_catalog(text) to ROLE;
create function public.add_file_to_catalog(object_key text) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    command_id constant uuid := gen_random_uuid();
begin
    if object_key is null or octet_length(object_key) not between 1 and 1024 then
        raise exception 'object_key: must have 1 to 1024 bytes' using errcode = 'invalid_parameter_value';
    end if;
    insert into pipeline.outbox (exchange, routing_key, message_id, body, mandatory)
    values ('record-object', '', command_id,
            convert_to(json_build_object('commandId', command_id, 'objectKey', object_key)::text, 'UTF8'), true);
    return command_id;
end $$;

revoke all on function public.add_file_to_catalog(text) from public;
