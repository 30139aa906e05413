-- The tables behind the lanes, and the views that other processes may read.
-- `pipeline` belongs to the workers alone. `status` is the read contract: the publisher's role sees nothing else.

create schema if not exists pipeline;
create schema if not exists status;

-- One row a project. Whoever writes to a project locks this row first; version rises by one with each applied write.
create table pipeline.projects (
    id         uuid        not null constraint pk_projects primary key,
    version    bigint      not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

-- The storyboard of a project, written as a whole.
create table pipeline.scenes (
    project_id uuid         not null constraint fk_scenes_project references pipeline.projects (id),
    scene_id   varchar(100) not null,
    index      integer      not null constraint ck_scenes_index check (index >= 1),
    prompt     text,
    constraint pk_scenes primary key (project_id, scene_id),
    constraint uq_scenes_index unique (project_id, index)
);

-- Rows, not one document: adding a picture is an insert, so two writers cannot overwrite each other.
create table pipeline.images (
    id              uuid          not null constraint pk_images primary key,
    project_id      uuid          not null constraint fk_images_project references pipeline.projects (id),
    scene_id        varchar(100),           -- wanted; no foreign key, because the scene may come later
    scene_index     integer,                -- wanted, where the command named the scene by its place only
    slot            integer       not null constraint ck_images_slot check (slot >= 0),
    version         integer       not null constraint ck_images_version check (version >= 1),
    object_key      varchar(1024) not null,
    sha256          char(64)      not null constraint ck_images_sha256 check (sha256 ~ '^[0-9a-f]{64}$'),
    content_type    varchar(20)   not null,
    byte_length     bigint        not null constraint ck_images_byte_length check (byte_length > 0),
    width           integer       not null constraint ck_images_width check (width > 0),
    height          integer       not null constraint ck_images_height check (height > 0),
    object_seen     boolean       not null, -- the object has been seen in the store
    object_checks   integer       not null default 0,
    object_check_at timestamptz,            -- when to look for a missing object again; null once it is seen
    placed          boolean       not null, -- shown: the object is seen, and so is the scene where one is wanted
    project_version bigint        not null, -- of the write that put the row into its present state
    saved_at        timestamptz   not null,
    updated_at      timestamptz   not null,
    deleted_at      timestamptz,
    constraint ck_images_placed_has_object check (object_seen or not placed)
);

create index ix_images_live_by_scene on pipeline.images (project_id, scene_id, slot, project_version)
    where deleted_at is null;
create index ix_images_waiting on pipeline.images (project_id) where not placed and deleted_at is null;
create index ix_images_object_check on pipeline.images (object_check_at) where not object_seen and deleted_at is null;

-- Exactly one row for each command that has ended: the de-duplication, the answer and what was announced.
create table pipeline.receipts (
    command_id      uuid        not null constraint pk_receipts primary key,
    project_id      uuid        not null,
    command         varchar(60) not null,
    request_hash    bytea       not null, -- of the command's content, so that an id used twice is noticed
    outcome         varchar(20) not null constraint ck_receipts_outcome check
        (outcome in ('applied', 'unchanged', 'superseded', 'target-missing', 'rejected', 'failed')),
    reason          text,
    project_version bigint,               -- after the write; null where nothing was written
    replays         integer     not null default 0,
    announcements   json        not null, -- [{exchange, messageId, body}], sent again on a redelivery, byte for byte
    at              timestamptz not null
);

create index ix_receipts_project on pipeline.receipts (project_id, at);

-- A command id that came again with another content: refused, and kept here beside the first one's receipt.
create table pipeline.receipt_conflicts (
    command_id   uuid        not null,
    request_hash bytea       not null,
    project_id   uuid        not null,
    command      varchar(60) not null,
    body         json        not null,
    at           timestamptz not null,
    constraint pk_receipt_conflicts primary key (command_id, request_hash)
);

-- What the object store is known to hold. "C": S3 orders keys by their bytes.
create table pipeline.catalog_objects (
    key           varchar(1024) collate "C" not null constraint pk_catalog_objects primary key,
    size          bigint        not null,
    etag          varchar(100)  not null,
    content_type  varchar(100),
    last_modified timestamptz   not null,
    first_seen    timestamptz   not null
);

-- Messages that commit with the rows they announce and are relayed afterwards, in order of their id.
create table pipeline.outbox (
    id          bigint       generated always as identity constraint pk_outbox primary key,
    exchange    varchar(100) not null,
    routing_key varchar(255) not null,
    message_id  uuid         not null,
    body        bytea        not null,
    mandatory   boolean      not null,
    created_at  timestamptz  not null default now()
);

-- Living worker processes, and the lanes they hold. A lease that is not renewed ends by itself.
create table pipeline.workers (
    id          uuid         not null constraint pk_workers primary key,
    name        varchar(100) not null,
    started_at  timestamptz  not null,
    lease_until timestamptz  not null
);

create table pipeline.lanes (
    lane        integer     not null constraint pk_lanes primary key,
    worker_id   uuid,
    epoch       bigint      not null default 0, -- rises with each change of holder
    lease_until timestamptz
);

create index ix_lanes_worker on pipeline.lanes (worker_id);

-- Messages that were begun alone after several redeliveries: one that kills its worker is known by these.
create table pipeline.lane_suspects (
    command_id uuid        not null constraint pk_lane_suspects primary key,
    lane       integer     not null,
    starts     integer     not null,
    last_start timestamptz not null
);
