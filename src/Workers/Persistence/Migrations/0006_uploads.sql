-- Uploads: which of them an import has begun with, and how far the sweep of abandoned ones is.

-- Objects that an import reads. A row goes when the import is decided; that of a failed one stays for its replay.
create table pipeline.import_sources (
    key        varchar(1024) collate "C" not null,
    command_id uuid                      not null,
    begun_at   timestamptz               not null,
    constraint pk_import_sources primary key (key, command_id)
);

create index ix_import_sources_command on pipeline.import_sources (command_id);

-- One row a kind of leftover. Whoever moves due_at on sweeps; the next one goes on behind the last key.
create table pipeline.upload_sweeps (
    kind      varchar(20)               not null constraint pk_upload_sweeps primary key,
    due_at    timestamptz               not null,
    after_key varchar(1024) collate "C"
);
