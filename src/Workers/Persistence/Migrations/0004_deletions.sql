-- Replacing and deleting: tombstones, pictures whose next bytes are on their way, and the saga that purges objects.

-- The tombstone of a project or a picture: the deletion that made it, and since when its bytes are being purged. From
-- then on it cannot be restored.
alter table pipeline.projects
    add deleted_at       timestamptz,
    add deletion_id      uuid,
    add purge_started_at timestamptz;
alter table pipeline.images
    add deletion_id      uuid,
    add purge_started_at timestamptz;

-- The bytes that a shown picture gets next, once they have been seen in the store. The earlier ones are shown meanwhile.
create table pipeline.image_replacements (
    image_id        uuid          not null constraint pk_image_replacements primary key
        constraint fk_image_replacements_image references pipeline.images (id),
    project_id      uuid          not null,
    command_id      uuid          not null,
    object_key      varchar(1024) not null,
    sha256          char(64)      not null,
    content_type    varchar(20)   not null,
    byte_length     bigint        not null,
    width           integer       not null,
    height          integer       not null,
    object_checks   integer       not null default 0,
    object_check_at timestamptz   not null,
    requested_at    timestamptz   not null
);

create index ix_image_replacements_check on pipeline.image_replacements (object_check_at);

-- Keys that were purged while their picture lives on. They are never used again, so that a delete that comes late, from
-- a worker that was paused, finds nothing that anybody sees.
create table pipeline.purged_objects (
    key       varchar(1024) collate "C" not null constraint pk_purged_objects primary key,
    image_id  uuid                      not null,
    purged_at timestamptz               not null
);

create index ix_purged_objects_image on pipeline.purged_objects (image_id);

-- The save or replacement that was last queued with the object: until it has its receipt the object's purge waits, but
-- not for ever. One that was queued before it is decided before it.
alter table pipeline.catalog_objects
    add held_by    uuid,
    add held_until timestamptz;

-- The saga: one row for each deletion of a picture, of a project, or of an object that no row names any more.
create table pipeline.deletions (
    correlation_id uuid        not null constraint pk_deletions primary key,
    current_state  varchar(20) not null,
    kind           varchar(10) not null constraint ck_deletions_kind check (kind in ('image', 'project', 'object')),
    project_id     uuid        not null,
    image_id       uuid,                 -- null for a project
    object_key     varchar(1024),        -- of kind object only
    command_id     uuid        not null, -- what asked for it
    attempt        integer     not null, -- rises with each step that is sent; an answer to an earlier one is ignored
    failures       integer     not null, -- since the last step that succeeded
    failing_since  timestamptz,
    failure_reason text,
    due_at         timestamptz,          -- when it goes on; null while a step is with the workers, or it has ended
    purged_keys    integer     not null, -- of a completed one
    created_at     timestamptz not null,
    updated_at     timestamptz not null
);

create index ix_deletions_due on pipeline.deletions (due_at) where due_at is not null;
create index ix_deletions_open on pipeline.deletions (updated_at)
    where current_state in ('Purging', 'Verifying', 'Invalidating');
create index ix_deletions_project on pipeline.deletions (project_id, created_at);
create index ix_deletions_state on pipeline.deletions (current_state, created_at);

-- The objects of an open deletion. Written before the first one is deleted, so that the CDNs can be told of all of them.
create table pipeline.deletion_keys (
    deletion_id uuid                      not null constraint fk_deletion_keys_deletion
        references pipeline.deletions (correlation_id),
    key         varchar(1024) collate "C" not null,
    purged_at   timestamptz,
    reason      text,                     -- why the store still has it
    constraint pk_deletion_keys primary key (deletion_id, key)
);

create or replace view status.images as
select i.id, i.project_id, i.scene_id, i.scene_index, i.slot, i.version, i.object_key, i.sha256, i.content_type,
       i.byte_length, i.width, i.height,
       case when i.deleted_at is not null then 'deleted' when i.placed then 'shown' else 'waiting' end as state,
       case
           when i.placed or i.deleted_at is not null then null
           when i.object_seen then 'scene'
           when (i.scene_id is null and i.scene_index is null) or s.scene_id is not null then 'object'
           else 'scene and object'
       end as waits_for,
       i.object_checks, i.object_check_at, i.project_version, i.saved_at, i.updated_at, i.deleted_at,
       r.object_key as replacement_key, r.requested_at as replacement_requested_at, i.deletion_id,
       i.deleted_at is not null and i.purge_started_at is null and p.deleted_at is null as restorable
from pipeline.images i
join pipeline.projects p on p.id = i.project_id
left join pipeline.image_replacements r on r.image_id = i.id
left join pipeline.scenes s on s.project_id = i.project_id and s.scene_id = i.scene_id;

create or replace view status.projects as
select p.id, p.version, p.created_at, p.updated_at,
       (select count(*) from pipeline.scenes s where s.project_id = p.id) as scenes,
       (select count(*) from pipeline.images i where i.project_id = p.id and i.deleted_at is null and i.placed) as images,
       (select count(*) from pipeline.images i where i.project_id = p.id and i.deleted_at is null and not i.placed)
           as waiting,
       (select count(*) from pipeline.receipts r where r.project_id = p.id) as receipts
from pipeline.projects p
where p.deleted_at is null;

create or replace view status.project_documents as
select p.id as project_id, p.version,
       jsonb_build_object(
           'projectId', p.id,
           'version', p.version,
           'scenes', coalesce(d.scenes, '[]'::jsonb),
           'missing', coalesce(d.missing, '[]'::jsonb),
           'imageUrls', coalesce((
               select jsonb_agg(format('/images/%s/%s', i.id, i.version) order by i.slot, i.project_version)
               from pipeline.images i
               where i.project_id = p.id and i.placed and i.deleted_at is null and i.scene_id is null), '[]'::jsonb)
       ) as document
from pipeline.projects p
left join lateral (
    select jsonb_agg(jsonb_build_object('id', s.scene_id, 'index', s.index, 'prompt', s.prompt,
                                        'imageUrls', coalesce(u.urls, '[]'::jsonb)) order by s.index) as scenes,
           jsonb_agg(s.scene_id order by s.index) filter (where u.urls is null) as missing
    from pipeline.scenes s
    left join lateral (
        select jsonb_agg(format('/images/%s/%s', i.id, i.version) order by i.slot, i.project_version) as urls
        from pipeline.images i
        where i.project_id = s.project_id and i.scene_id = s.scene_id and i.placed and i.deleted_at is null
    ) u on true
    where s.project_id = p.id
) d on true
where p.deleted_at is null;

create or replace view status.deletions as
select d.correlation_id as id, d.current_state as state, d.kind, d.project_id, d.image_id, d.object_key, d.command_id,
       d.attempt, d.failures, d.failing_since, d.failure_reason, d.due_at,
       (select count(*) from pipeline.deletion_keys k where k.deletion_id = d.correlation_id and k.purged_at is null)
           as keys_left,
       d.purged_keys + (select count(*) from pipeline.deletion_keys k
                        where k.deletion_id = d.correlation_id and k.purged_at is not null) as keys_purged,
       d.created_at, d.updated_at
from pipeline.deletions d;

create or replace view status.deletion_keys as
select k.deletion_id, k.key, k.purged_at, k.reason
from pipeline.deletion_keys k;
