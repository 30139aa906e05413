-- How often a person had replayed the request when it was taken in: its receipt replaces the one of the failure before.
alter table pipeline.catalog_rebuild_requests add column replays integer not null default 0;
