-- Finds old receipts without reading the others: they lie in the order of their time. A block range index costs a write
-- next to nothing.
create index ix_receipts_at on pipeline.receipts using brin (at) with (pages_per_range = 32, autosummarize = on);
create index ix_generation_attempts_ended on pipeline.generation_attempts using brin (ended_at)
    with (pages_per_range = 32, autosummarize = on);
create index ix_purged_objects_at on pipeline.purged_objects using brin (purged_at)
    with (pages_per_range = 32, autosummarize = on);
