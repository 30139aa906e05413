-- The model's own settings, so that who asks again for a picture asks for the same one.

create or replace view status.generations as
select g.correlation_id as id, g.request_hash, g.current_state as state, g.prompt, g.model, g.width, g.height, g.seed,
       g.attempt, g.attempts_from, g.due_at, g.deadline_at, g.object_key, g.failure_kind, g.failure_reason,
       l.worker_id, l.lease_until, g.created_at, g.updated_at, g.options
from pipeline.generation_requests g
left join pipeline.generation_leases l on l.generation_id = g.correlation_id and l.attempt = g.attempt;
