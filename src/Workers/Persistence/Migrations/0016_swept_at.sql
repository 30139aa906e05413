-- When a sweep last sent the message of a row. The times that make a row due stay as they are: who takes the message
-- compares them, so that one that comes early or again has no effect.
alter table pipeline.generation_requests add column swept_at timestamptz;
alter table pipeline.generation_leases add column swept_at timestamptz;
alter table pipeline.deletions add column swept_at timestamptz;
alter table pipeline.catalog_rebuild_parts add column swept_at timestamptz;
