-- How long a lease was taken for. A sweep takes no lease for lapsed before it has itself worked for so long without an
-- error: after an outage of the database its worker needs that time to renew it.
alter table pipeline.generation_leases add column lease_length interval not null default '0';

-- Failed requests whose import or save may have been replayed since.
create index ix_generation_targets_failed on pipeline.generation_targets (import_command_id)
    where outcome = 'failed' and import_command_id is not null;
