-- The publisher's role may read the views and nothing else. It is made by whoever sets the server up.
do $$
begin
    if exists (select from pg_roles where rolname = 'pipeline_publisher') then
        grant usage on schema status to pipeline_publisher;
        grant select on all tables in schema status to pipeline_publisher;
    end if;
end $$;
