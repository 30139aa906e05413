-- The read contract. Columns may be added, never renamed or removed; a test holds each one.

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
       i.object_checks, i.object_check_at, i.project_version, i.saved_at, i.updated_at, i.deleted_at
from pipeline.images i
left join pipeline.scenes s on s.project_id = i.project_id and s.scene_id = i.scene_id;

create or replace view status.projects as
select p.id, p.version, p.created_at, p.updated_at,
       (select count(*) from pipeline.scenes s where s.project_id = p.id) as scenes,
       (select count(*) from pipeline.images i where i.project_id = p.id and i.deleted_at is null and i.placed) as images,
       (select count(*) from pipeline.images i where i.project_id = p.id and i.deleted_at is null and not i.placed)
           as waiting,
       (select count(*) from pipeline.receipts r where r.project_id = p.id) as receipts
from pipeline.projects p;

-- The shape that front ends poll. `missing` lists the scenes without a picture.
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
) d on true;

create or replace view status.receipts as
select r.command_id, r.project_id, r.command, r.outcome, r.reason, r.project_version, r.replays, r.at
from pipeline.receipts r;

create or replace view status.receipt_conflicts as
select c.command_id, c.project_id, c.command, c.body, c.at
from pipeline.receipt_conflicts c;

create or replace view status.catalog as
select o.key, o.size, o.etag, o.content_type, o.last_modified, o.first_seen
from pipeline.catalog_objects o;

create or replace view status.workers as
select w.id, w.name, w.started_at, w.lease_until, w.lease_until > now() as alive
from pipeline.workers w;

create or replace view status.lanes as
select l.lane, format('project-lane-%s', lpad(l.lane::text, 2, '0')) as queue, l.worker_id, w.name as worker,
       l.epoch, l.lease_until, coalesce(l.lease_until > now(), false) as held
from pipeline.lanes l
left join pipeline.workers w on w.id = l.worker_id;

create or replace view status.outbox as
select count(*) as waiting, min(created_at) as oldest from pipeline.outbox;
