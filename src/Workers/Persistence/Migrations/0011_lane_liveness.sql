-- A worker that cannot reach the broker keeps its row, because it lives, but takes no lanes.
alter table pipeline.workers add column takes_lanes boolean not null default true;

-- A row for each worker that began a redelivered command alone and has not come back from it. Only the rows of workers
-- that no longer live count against the command.
drop table pipeline.lane_suspects;
create table pipeline.lane_suspects (
    command_id uuid        not null,
    worker_id  uuid        not null,
    lane       integer     not null,
    started_at timestamptz not null,
    constraint pk_lane_suspects primary key (command_id, worker_id)
);
create index ix_lane_suspects_worker on pipeline.lane_suspects (worker_id);

create or replace view status.workers as
select w.id, w.name, w.started_at, w.lease_until, w.lease_until > now() as alive, w.takes_lanes
from pipeline.workers w;
