-- Each request has its own deadline: the generation's is the latest of those who still wait for the image.
alter table pipeline.generation_targets add column deadline_at timestamptz;
update pipeline.generation_targets t set deadline_at = g.deadline_at
    from pipeline.generation_requests g where g.correlation_id = t.generation_id and t.outcome is null;
