-- What keeps rows and objects together: who counts on an object, and the last word on whether an image exists.

-- A save or replacement that counts on its object. It may wait in its lane, or have failed and wait for its replay. Its
-- key is neither purged nor given up meanwhile.
create table pipeline.object_holds (
    key        varchar(1024) collate "C" not null,
    command_id uuid                      not null,
    project_id uuid                      not null,
    image_id   uuid                      not null,
    held_at    timestamptz               not null,
    constraint pk_object_holds primary key (key, command_id, project_id)
);

create index ix_object_holds_project on pipeline.object_holds (project_id);
create index ix_object_holds_at on pipeline.object_holds (held_at);

insert into pipeline.object_holds (key, command_id, project_id, image_id, held_at)
select key, held_by, split_part(key, '/', 2)::uuid, split_part(key, '/', 3)::uuid, now()
from pipeline.catalog_entries where held_until > now() and key like 'projects/%';

-- A hold ends with the command's decision, with the discard of its dead letter, or where nothing can show the object any
-- more.
create view pipeline.held_objects as
select h.key
from pipeline.object_holds h
where not exists (
        select from pipeline.receipts r
        where r.command_id = h.command_id and r.scope = h.project_id and r.outcome <> 'failed')
    and not exists (
        select from pipeline.dead_letter_actions a
        where a.message_id = h.command_id::text and a.action = 'discard' and a.done_at is not null
            and (a.project_id = h.project_id or a.project_id is null))
    and not exists (
        select from pipeline.images i where i.id = h.image_id and i.purge_started_at is not null)
    and not exists (
        select from pipeline.projects p
        where p.id = h.project_id and (p.purge_started_at is not null or p.erased_at is not null));

drop view pipeline.catalog_objects; -- with its trigger
alter table pipeline.catalog_entries drop column held_by, drop column held_until;
create view pipeline.catalog_objects as
select key, size, etag, content_type, last_modified, first_seen, seen_in_rebuild
from pipeline.catalog_entries where gone_at is null;
create trigger remember_deletions instead of delete on pipeline.catalog_objects
    for each row execute function pipeline.remember_deletion();

-- Outages are waited out and refusals are counted, also over a step that succeeded in between.
alter table pipeline.deletions add column refusals integer not null default 0;

-- Open deletions of one object: another one of the same key waits for the later time.
create index ix_deletions_object on pipeline.deletions (object_key) where current_state = 'Tombstoned';

-- The place of the last save, deletion or restoration in the project's order, also of one that changed nothing: a
-- deletion or restoration that failed and is replayed later is older than that.
alter table pipeline.images add column lifecycle_place bigint not null default 0;
update pipeline.images set lifecycle_place = place;
alter table pipeline.projects add column lifecycle_place bigint not null default 0;

create or replace view status.image_places as
select i.id, i.place, i.lifecycle_place from pipeline.images i;

create view status.project_places as
select p.id, p.lifecycle_place from pipeline.projects p;
