-- Deleted means gone: what was generated goes with the last image that needs it.

-- When the image of a request was found to be purged: the request needs the generation no more.
alter table pipeline.generation_targets add column released_at timestamptz;
