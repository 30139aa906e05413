-- Imports that waited at marked_at have been taken out of their queue once marked_imports others have ended since.
-- Every import from before taken_until has been.
alter table pipeline.upload_sweeps
    add column taken_until    timestamptz,
    add column marked_at      timestamptz,
    add column marked_imports bigint;
